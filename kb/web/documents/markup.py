"""What the forms of documents share: safe HTML, marked words, and where links lead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from kb.search.words import Words
from kb.web.text import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.records import KnownFile

HIT: Final = "hit"
# Between a heading and those below it.
IN: Final = "\u203a"
# Characters that are not drawn but change how others are: controls, and overrides of the direction of writing.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")
_NOT_TEXT: Final = re.compile("[\ud800-\udfff]")
_TAG_NAMES: Final = (
    "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 "
    "h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small span strong sub summary sup table "
    "tbody td tfoot th thead time tr u ul var"
)
_TAGS: Final = frozenset(_TAG_NAMES.split())
# Elements of which nothing is left, not even their text.
_WHOLE_TAGS: Final = "script style svg math template iframe object noscript title textarea"
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "*": frozenset({"class", "id", "data-line", "title", "lang", "dir"}),
    "a": frozenset({"href"}),
    "img": frozenset({"src", "alt", "width", "height"}),
    "ol": frozenset({"start", "reversed"}),
    "td": frozenset({"colspan", "rowspan"}),
    "th": frozenset({"colspan", "rowspan", "scope"}),
    "time": frozenset({"datetime"}),
}
# The classes that the forms of documents write themselves, besides those of pygments.
_CLASSES: Final = frozenset(
    {HIT, "line", "num", "code", "math", "broken", "front", "headers", "place", "text", "labels", "state", "output"}
)
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_PLACE: Final = "/read?"
IMAGE: Final = "/image?"
RASTER: Final = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|avif)$", re.IGNORECASE)
"""The ends of the names of images that are shown."""
# The name of the place where the passage begins, in the address after "#".
PASSAGE: Final = "passage"
_ID: Final = re.compile(r' id="[^"]*"')
# Before each id of a document, so that none is one of the page.
_OWN: Final = "d-"
_IMAGE: Final = re.compile(r'<img((?: [\w-]+="[^"]*")*)>')
_ALT: Final = re.compile(r' alt="([^"]*)"')
_URL: Final = re.compile(r"\bhttps?://\w[^\s<>\"'`\\]*", re.IGNORECASE)
# What ends a sentence rather than an address.
_AFTER_URL: Final = ".,:;!?*_~)]}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a link of a document leads.

    Attributes:
        href: The address; empty if it leads nowhere.
        problem: Why it leads nowhere.
    """

    href: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A document, or a part of it, to be shown.

    Attributes:
        file: The file.
        text: The lines.
        first_line: The number of the first of them.
        marked: The first and the last line of the passage; (0, -1) where there is none.
        words: The words that are marked in the passage.
        head: The first line of a table, where the lines begin below it.
        target: Returns where a link leads, by its target as written.
        image: Returns the address of an image, by its target as written; empty if it cannot be shown.
    """

    file: KnownFile
    text: str
    first_line: int = 1
    marked: tuple[int, int] = (0, -1)
    words: Words = field(default_factory=Words)
    head: str = ""
    target: Callable[[str], Target] = lambda _: Target()
    image: Callable[[str], str] = lambda _: ""

    def is_marked(self, first: int, last: int) -> bool:
        """Whether lines of the document are in the passage, at least in part."""
        return first <= self.marked[1] and last >= self.marked[0]

    def classes(self, name: str, first: int, last: int) -> str:
        """The classes of an element of these lines: its own, and that of the passage if it is part of it."""
        return f"{name} {HIT}" if self.is_marked(first, last) else name


def visible(text: str) -> str:
    """Return a text without the characters that could make it look like another one."""
    return _NOT_TEXT.sub("\ufffd", _HIDDEN.sub("\ufffd", text))


def marked_text(text: str, words: Words) -> Markup:
    """Return a text as HTML with its words marked."""
    text = visible(text)
    parts, at = [], 0
    for first, last in words.spans(text):
        parts += [escape(text[at:first]), "<mark>", escape(text[first:last]), "</mark>"]
        at = last
    return Markup("".join([*parts, escape(text[at:])]))  # noqa: S704 - escaped above


def link(target: Target, label: str) -> str:
    """Return a link as HTML; one that leads nowhere says why."""
    shown = escape(visible(label))
    if target.href:
        return f'<a href="{escape(target.href)}">{shown}</a>'
    return f'<span class="broken" title="{escape(visible(target.problem))}">{shown}</span>'


def linked_text(text: str) -> str:
    """Return a text as HTML in which web addresses are links, as far as sentences and brackets around them."""
    parts, at = [], 0
    for found in _URL.finditer(text):
        url = _without_end(found[0])
        end = found.start() + len(url)
        parts += [escape(text[at : found.start()]), f'<a href="{escape(url)}">{escape(url)}</a>']
        at = end
    return "".join([*parts, escape(text[at:])])


def _without_end(url: str) -> str:
    """Return an address without what ends the sentence that it stands in, or closes a bracket around it."""
    end, unopened = len(url), url.count(")") - url.count("(")
    while url[end - 1] in _AFTER_URL and not (url[end - 1] == ")" and unopened <= 0):
        end -= 1
        unopened -= url[end] == ")"
    return url[:end]


def sanitized(html: str, image: Callable[[str], str] = lambda _: "") -> str:
    """Return HTML in which nothing acts: no scripts, styles, forms, SVG, frames, or addresses of other pages of kb.

    Args:
        html: The HTML of a document.
        image: Returns the address of an image by its source as written; empty if it cannot be shown.
    """
    import nh3

    def attribute(tag: str, name: str, value: str) -> str | None:
        if name == "href" and value.startswith("#"):
            return f"#{_OWN}{value[1:]}"
        if name == "href":
            return value if _leads_away(value) or value.startswith(_PLACE) else None
        if name == "src" and tag == "img":
            return value if value.startswith(IMAGE) else image(value) or None
        return value

    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(_WHOLE_TAGS.split()),
        attributes={tag: set(names) - {"class"} for tag, names in _ATTRIBUTES.items()},
        allowed_classes=dict.fromkeys(_TAGS, _classes()),
        attribute_filter=attribute,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer",
        id_prefix=_OWN,
    )
    return _IMAGE.sub(_shown_image, clean)


def _shown_image(found: re.Match[str]) -> str:
    """Return an image; where it is not shown, its text in place of what browsers draw for a broken one."""
    if ' src="' in found[1]:
        return found[0]
    alt = _ALT.search(found[1])
    label = (alt[1] if alt else "") or TEXT["image"]
    return f'<span class="no-image" title="{TEXT["image_not_shown"]}">{label}</span>'


def with_words(html: str, words: Words) -> Markup:
    """Return sanitized HTML with the passage prepared: words marked in it, and its beginning named ``passage``.

    What belongs to the passage are the elements of the class ``hit``.
    """
    if HIT not in html:
        return Markup(html)  # noqa: S704 - sanitized
    marker = _Marker(words)
    marker.feed(html)
    marker.close()
    return Markup("".join(marker.parts))  # noqa: S704 - sanitized HTML with marks


class _Marker(HTMLParser):
    """Copies HTML, names the first element of the class ``hit``, and marks words in all of them."""

    _EMPTY: Final = frozenset({"br", "hr", "img", "col"})

    def __init__(self, words: Words) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._words = words
        self._inside: list[bool] = []
        self._named = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text = self.get_starttag_text() or ""
        hit = HIT in (dict(attrs).get("class") or "").split()
        if hit and not self._named:
            self._named = True
            text = f'<{tag} id="{PASSAGE}"{_ID.sub("", text[len(tag) + 1 :])}'
        self.parts.append(text)
        if tag not in self._EMPTY:
            self._inside.append(hit or bool(self._inside and self._inside[-1]))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"</{tag}>")
        if self._inside:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        inside = bool(self._inside and self._inside[-1])
        self.parts.append(marked_text(data, self._words) if inside else escape(data))


def _leads_away(href: str) -> bool:
    return href.partition(":")[0].lower() in _SCHEMES


_known_classes: set[str] = set()


def _classes() -> set[str]:
    """Return the classes that a document may have: ours, and those by which pygments colours code."""
    if not _known_classes:
        from pygments.token import STANDARD_TYPES

        _known_classes.update(_CLASSES, (name for name in STANDARD_TYPES.values() if name))
    return _known_classes
