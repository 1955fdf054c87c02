"""Reads RSS and Atom feeds: the title, day, author, categories and text of each entry.

RSS 2.0 (https://www.rssboard.org/rss-specification), RSS 1.0 with its content module, and Atom (RFC 4287). An export of
WordPress is RSS 2.0 with elements of its own: comments, and entries that are no posts.
"""

from __future__ import annotations

import re
from html import escape
from itertools import chain
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import day_of, mail_date
from kb.formats.html import parsed, put
from kb.formats.xml_tree import language, local, root_name, said, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "is_feed", "prepare"]

_ROOTS: Final = frozenset({"rss", "feed", "RDF"})
_ENTRIES: Final = frozenset({"item", "entry"})
# Elements with the same local names in other namespaces, such as media:title and itunes:summary, repeat the entry.
_NAMESPACES: Final = (
    "",
    "{http://www.w3.org/2005/Atom}",
    "{http://purl.org/rss/1.0/}",
    "{http://purl.org/dc/elements/1.1/}",
    "{http://purl.org/rss/1.0/modules/content/}",
)
# Podcasts say in it what feeds say in elements of their own, often both.
_PODCAST: Final = "{http://www.itunes.com/dtds/podcast-1.0.dtd}"
# Feeds of videos describe them in it alone.
_MEDIA: Final = "{http://search.yahoo.com/mrss/}"
_WORDPRESS: Final = "{http://wordpress.org/export/"
# Entries of WordPress without a text for readers.
_SETTINGS: Final = frozenset(
    {"nav_menu_item", "revision", "custom_css", "customize_changeset", "oembed_cache", "user_request"}
    | {"wp_global_styles", "wp_navigation", "wp_template", "wp_template_part", "wp_font_family", "wp_font_face"}
)
_PARAGRAPHS: Final = re.compile(r"(<pre\b.*?(?:</pre>|\Z))|\r?\n[ \t]*\r?\n", re.DOTALL)
# The longest text first: a summary is not read where the content is there.
_BODIES: Final = ("encoded", "content", "description", "summary")


def is_feed(data: bytes) -> bool:
    """Whether an XML file is a feed, by its first element."""
    name = root_name(data)
    return name in _ROOTS and (name != "RDF" or b"purl.org/rss/1.0/" in data[:4096])


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each entry to the builder.

    Raises:
        Unreadable: It is not a feed.
    """
    root = tree_of(data, builder)
    if local(root) not in _ROOTS:
        raise Unreadable("is neither an RSS nor an Atom feed", "Save the feed again, or name the file .xml")
    channel = next((one for one in root if local(one) == "channel"), root)
    about = _parts(channel)
    builder.set_properties(_text_of(about.get("title")), _author(about), _day(about))
    builder.add_tags((), language(root) or said(about.get("language")).partition("-")[0].lower())
    builder.add_text(_text_of(about.get("description")) or said(about.get("subtitle")))
    for entry in root.iter():
        if local(entry) in _ENTRIES and _of_wordpress(entry, "post_type") not in _SETTINGS:
            _add(builder, entry)


def _add(builder: TextBuilder, entry: ET.Element) -> None:
    parts = _parts(entry)
    title, day = _text_of(parts.get("title")), _day(parts) or day_of(_of_wordpress(entry, "post_date"))
    builder.add_place("entry: " + ", ".join(filter(None, (title or "no title", day))), reset_headings=True)
    builder.add_heading(title, 1)
    facts = (("Author", _author(parts)), ("Categories", ", ".join(_categories(entry))), ("Link", _link(entry)))
    builder.add_text("\n".join(f"{name}: {value}" for name, value in facts if value))
    bodies = chain((_html_of(parts[name]) for name in _BODIES if name in parts), _of_media(entry))
    if body := next((one for one in bodies if one.strip()), ""):
        is_typed = bool(_of_wordpress(entry, "post_type"))
        put(parsed(_with_paragraphs(body) if is_typed else body), builder)
    for comment in entry:
        if comment.tag.startswith(_WORDPRESS) and local(comment) == "comment":
            _add_comment(builder, comment)


def _of_media(entry: ET.Element) -> Iterator[str]:
    """Yield the HTML of what describes the media of an entry, which is plain text unless it says otherwise."""
    for one in entry.iter(f"{_MEDIA}description"):
        yield _html_of(one) if one.get("type") == "html" else escape(one.text or "").replace("\n", "<br>")


def _add_comment(builder: TextBuilder, comment: ET.Element) -> None:
    """Add a comment on a post, if it is published and a reader wrote it."""
    if _of_wordpress(comment, "comment_approved") != "1" or "back" in _of_wordpress(comment, "comment_type"):
        return
    about = (_of_wordpress(comment, "comment_author"), day_of(_of_wordpress(comment, "comment_date")))
    builder.add_text("Comment by " + ", ".join(filter(None, about)))
    put(parsed(_with_paragraphs(_of_wordpress(comment, "comment_content", raw=True))), builder)


def _with_paragraphs(body: str) -> str:
    """Return the HTML that WordPress makes of a text whose paragraphs are divided by empty lines."""
    if "<p>" in body or "<p " in body:
        return body
    return _PARAGRAPHS.sub(lambda found: found[1] or "<p>", body)


def _of_wordpress(element: ET.Element, name: str, *, raw: bool = False) -> str:
    """Return what an element of WordPress says on one line, or as it is; empty if there is none."""
    found = next((one for one in element if one.tag.startswith(_WORDPRESS) and local(one) == name), None)
    return (found.text or "") if raw and found is not None else said(found)


def _parts(element: ET.Element) -> dict[str, ET.Element]:
    """Return the first child of each name in the namespaces of feeds, else in that of podcasts."""
    found: dict[str, ET.Element] = {}
    podcast: dict[str, ET.Element] = {}
    for child in element:
        name = local(child)
        space = child.tag.removesuffix(name)
        if space in _NAMESPACES:
            found.setdefault(name, child)
        elif space == _PODCAST:
            podcast.setdefault(name, child)
    return podcast | found


def _html_of(element: ET.Element) -> str:
    """Return the HTML in an element: as escaped text, or as elements in Atom's XHTML."""
    if element.get("type") == "text":
        return escape("".join(element.itertext()))
    if not len(element):
        return element.text or ""
    for child in element.iter():
        child.tag = local(child)
    return (element.text or "") + "".join(ET.tostring(child, "unicode", method="html") for child in element)


def _text_of(element: ET.Element | None) -> str:
    """Return the text of an element that may hold HTML, on one line."""
    return "" if element is None else line(" ".join(piece.text for piece in parsed(_html_of(element)).pieces))


def _day(parts: dict[str, ET.Element]) -> str:
    """Return the day on which an entry was published, else changed."""
    for name in ("pubDate", "published", "date", "updated", "lastBuildDate"):
        text = said(parts.get(name))
        if day := mail_date(text) or day_of(text):
            return day
    return ""


def _author(parts: dict[str, ET.Element]) -> str:
    author = parts.get("author")
    author = parts.get("creator") if author is None else author
    if author is None:
        return ""
    return said(next((one for one in author if local(one) == "name"), author))


def _categories(entry: ET.Element) -> Iterable[str]:
    found = (line(one.get("term") or "") or said(one) for one in entry if local(one) in {"category", "subject"})
    return dict.fromkeys(filter(None, found))


def _link(entry: ET.Element) -> str:
    """Return the address of the page of an entry; without one, that of its recording."""
    for one in entry:
        if local(one) == "link" and one.get("rel", "alternate") == "alternate" and (to := one.get("href") or one.text):
            return line(to)
    return next((line(one.get("url") or "") for one in entry if local(one) == "enclosure"), "")
