"""Web pages: the main text with headings, lists and tables, without menus.

xberg leaves out description lists and captions; a page must not lose text in silence.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from kb.extract.charset import decoded, named, prepare
from kb.extract.dates import iso_date
from kb.extract.page import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.extract.draft import Draft
    from kb.extract.page import Page, Piece
    from kb.extract.wire import Limits

__all__ = ["extract", "prepare", "put", "seen"]

# How much text the element that calls itself the main one has to have, to be taken at its word.
_MAIN: Final = 200
# So many short pieces one after another that are nothing but links are a menu, whatever element they stand in.
_MENU: Final = 5
_SHORT: Final = 60


def extract(_name: str, data: bytes, draft: Draft, _limits: Limits) -> None:
    """Put the main text of a page into the draft."""
    page = parsed(decoded(data, named(data)))
    draft.describe(page.title, page.author, iso_date(page.date))
    put(page, draft)


def put(page: Page, draft: Draft) -> None:
    """Put the main text of a page into the draft."""
    for piece in _main(list(_without_menus(page.pieces))):
        if piece.kind != "row":
            draft.end_table()
        if piece.kind != "item":
            # A further paragraph of an item belongs to it, as code in it does.
            draft.end_items(0 if piece.kind == "heading" else piece.level)
        match piece.kind:
            case "heading":
                draft.heading(piece.text, piece.level)
            case "row":
                draft.line(piece.text)
            case "columns":
                draft.columns(piece.text)
            case "item":
                draft.item(piece.text, piece.level)
            case "code":
                draft.text(piece.text, "code")
            case _:
                draft.text(piece.text)
    draft.end_table()
    draft.end_items()


def _main(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The pieces in the main element, where most of the text stands there; a teaser may call itself an article too."""
    main = [piece for piece in pieces if piece.main]
    size = sum(len(piece.text) for piece in main)
    return main if size >= max(_MAIN, sum(len(piece.text) for piece in pieces) / 2) else pieces


def _without_menus(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces without long rows of bare links."""
    for (linked, _), run in groupby(pieces, lambda piece: (piece.link and len(piece.text) < _SHORT, piece.main)):
        group = list(run)
        if not linked or len(group) < _MENU:
            yield from group


def seen(html: str) -> str:
    """What a reader of a mail in HTML sees, a blank line between pieces."""
    return "\n\n".join(text for _, _, text, *_ in parsed(html).pieces)
