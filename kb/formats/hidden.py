"""Tells which elements of a web page or a mail its readers do not see, by attribute, style and style sheet.

What they can open, such as a tab, they do see. Losing it would be worse than reading what is never shown, so that a
style hides only where nothing else of the page seems to show the element, and no script can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Controls that show an element, by its id.
_OPENS: Final = re.compile(
    r"\s(?:aria-controls|popovertarget|commandfor|data-(?:[a-z]{1,20}-)?(?:target|tab|panel)"
    r"|href(?=\s*=\s*[\"']?[^\s\"'<>#]{0,500}#))\s*=\s*[\"']?(?:[^\s\"'<>#]{0,500}#)?([^\"'<>]{1,200})",
    re.IGNORECASE,
)
_HANDLER: Final = re.compile(r"\son[a-z]{4,20}\s*=\s*(?:\"([^\"]{1,2000})\"|'([^']{1,2000})')", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(?:'|&#39;|&quot;|\")#?([\w-]{1,100})(?='|&#39;|&quot;|\")")
# A part that React sends late, which is hidden until a script puts it in its place.
_SENT_LATE: Final = re.compile(r"\$R[CR]\(\"[^\"]{1,50}\",\"([^\"]{1,50})\"")
# Scripts and handlers, and the comment of a program that saved the page, perhaps without its scripts.
_SCRIPT: Final = re.compile(
    r"<script\b|\son[a-z]{4,20}\s*=\s*[\"']|[\"']\s*javascript:|<!--[^<>]{0,200}\bsaved (?:from|with)\b", re.IGNORECASE
)

# Style sheets, and what they may stand in without being in force.
_SHEET: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<other>noscript|template|script)\b.*?(?:</(?P=other)|\Z)"
    r"|\bsrcdoc\s*=\s*(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))"
    r"|<style\b(?P<attributes>[^>]{0,300})>(?P<rules>.*?)(?:</style|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_TYPE: Final = re.compile(r"\btype\s*=\s*[\"']?\s*(?!text/css)\w", re.IGNORECASE)
_MEDIUM: Final = re.compile(r"\bmedia\s*=\s*(?:\"([^\"]*)|'([^']*)|(\S*))", re.IGNORECASE)
_ANY_SCREEN: Final = frozenset({"", "all", "screen", "only screen"})
# Screens that most readers do not have, and paper.
_FEW_SCREENS: Final = re.compile(r"\bmax-|<|\bprint\b|:\s*dark", re.IGNORECASE)
_COMMENT: Final = re.compile(
    r"/\*.*?(?:\*/|\Z)|<!--|-->|\"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*\"?|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*'?", re.DOTALL
)
_BRACE: Final = re.compile(r"([^{}]*+)([{}]|\Z)")
_DEEPEST: Final = 8
_DISPLAY: Final = re.compile(r"(?<![\w-])display\s*:\s*([a-z-]+)(\s*!\s*important)?", re.IGNORECASE)
_VISIBILITY: Final = re.compile(r"(?<![\w-])visibility\s*:\s*([a-z]+)", re.IGNORECASE)
_SHOWN_AT_ONCE: Final = re.compile(r"(?<![\w-])visibility\s*:\s*visible\s*!\s*important", re.IGNORECASE)
# What hides the preview text of a newsletter besides, since some programs ignore its display.
_PREVIEW: Final = re.compile(
    r"mso-hide\s*:\s*all|max-height\s*:\s*0|(?:font-size|line-height)\s*:\s*[01](?:px)?\s*[;!]"
)
_SIMPLE: Final = re.compile(r"[a-z0-9]*[.#][\w-]+", re.IGNORECASE)
_NAME: Final = re.compile(r"[.#](?:[\w-]|\\.)+")
_TAG: Final = re.compile(r"[a-z0-9]*", re.IGNORECASE)
_COMBINATOR: Final = re.compile(r"[\s>+~]+")

_WHOLE: Final = frozenset({"html", "body", "main"})
# Around text these are slides, panels, or all that is behind a dialog, but for what is beside the text or stands twice.
_BLOCKS: Final = frozenset({"div", "section", "article", "header", "ul", "ol", "li", "p", "table", "figure", "form"})
_APART: Final = re.compile(
    r"modal|dialog|menu|drawer|off-?canvas|overlay|pop-?(?:up|over)|clone|duplicate|line-?num|gutter|skeleton",
    re.IGNORECASE,
)
# A formula that is hidden beside its picture.
_FORMULA: Final = re.compile(r"mathml", re.IGNORECASE)
# Fonts that draw a word, such as "home", as a picture.
_ICONS: Final = re.compile(
    r"(?<!\S)material-(?:icons|symbols)(?:-(?:outlined|round|rounded|sharp|two-tone|filled))?(?!\S)"
)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What style sheets say on the display of elements, which are named by tag, ``.class``, ``#id`` or ``*``.

    Attributes:
        hiding: Those that are hidden; a tag may stand before the class or the id.
        showing: Those that are shown.
        at_once: Those that are shown whatever their style says.
        by_attribute: The rules by which the attribute ``hidden`` hides.
    """

    hiding: set[str] = field(default_factory=set)
    showing: set[str] = field(default_factory=set)
    at_once: set[str] = field(default_factory=set)
    by_attribute: set[str] = field(default_factory=set)


class Hidden:
    """The elements of one page that are hidden.

    Args:
        page: Its HTML.
        has_scripts: Whether it had scripts, which a program left out when it saved the page.
    """

    def __init__(self, page: str, *, has_scripts: bool = False) -> None:
        self._has_scripts = has_scripts or _SCRIPT.search(page) is not None
        self._opened = {name for names in _OPENS.findall(page) for name in names.split()}
        self._opened.update(name for found in _HANDLER.findall(page) for name in _QUOTED.findall("".join(found)))
        self._opened.update(_SENT_LATE.findall(page))
        self._rules = _rules(page)

    def __call__(self, tag: str, values: Mapping[str, str]) -> bool:
        """Whether an element is hidden.

        Args:
            tag: Its name.
            values: Its attributes.
        """
        if not values or tag in _WHOLE or values.get("role") == "tabpanel" or values.get("id") in self._opened:
            return False
        kind = values.get("class", "")
        if _ICONS.search(kind):
            return True
        names = {f".{name}" for name in kind.split()} | {f"#{values.get('id', '')}", tag, "*"}
        # A search in the page opens what is hidden until it is found.
        if "hidden" in values and values["hidden"].lower() != "until-found":
            return not self._is_displayed(values, names)
        if values.get("aria-hidden") == "true" and (tag not in _BLOCKS or _APART.search(kind)):
            return True
        return not _FORMULA.search(kind) and self._is_styled(tag, values, names)

    def _is_displayed(self, values: Mapping[str, str], names: set[str]) -> bool:
        """Whether an element with the attribute ``hidden`` is shown, as any style for its display does."""
        shown, _ = _display(values.get("style", ""))
        by_rule = not self._rules.by_attribute and not names.isdisjoint(self._rules.showing)
        return by_rule if not shown else shown != "none"

    def _is_styled(self, tag: str, values: Mapping[str, str], names: set[str]) -> bool:
        style = values.get("style", "")
        shown, _ = _display(style)
        if self._has_scripts:
            return shown == "none" and _PREVIEW.search(style) is not None
        if shown == "none" or _VISIBILITY.findall(style)[-1:] == ["hidden"]:
            return names.isdisjoint(self._rules.at_once)
        hiding = self._rules.hiding
        hidden = not names.isdisjoint(hiding) or any(f"{tag}{name}" in hiding for name in names)
        return hidden and not shown and names.isdisjoint(self._rules.showing)


def _display(declared: str) -> tuple[str, str]:
    """Return which display declarations give, and whether it is important; empty where they give none."""
    found: list[tuple[str, str]] = _DISPLAY.findall(declared)
    display, important = next((one for one in reversed(found) if one[1]), found[-1] if found else ("", ""))
    return display.lower(), important


def _rules(page: str) -> _Rules:
    rules = _Rules()
    for found in _SHEET.finditer(page):
        attributes, sheet = found["attributes"], found["rules"]
        if sheet is None or "{" not in sheet or _OTHER_TYPE.search(attributes):
            continue
        media = "".join(next(iter(_MEDIUM.findall(attributes)), ())).strip().lower()
        for around, declared in _declarations(_COMMENT.sub("", sheet)):
            display, important = _display(declared)
            hides = media in _ANY_SCREEN and len(around) == 1
            if display == "none":
                _add_hiding(rules, around[-1] if hides else "")
            elif not any(map(_FEW_SCREENS.search, (media, *(one for one in around if one.startswith("@"))))):
                at_once = bool(important) or _SHOWN_AT_ONCE.search(declared) is not None
                _add_showing(rules, around, by_display=bool(display), at_once=at_once)
    return rules


def _declarations(sheet: str) -> Iterator[tuple[Sequence[str], str]]:
    """Yield declarations on what is shown, each with the selector and the rules around it, the outermost first."""
    around: list[str] = []
    for text, sign in _BRACE.findall(sheet):
        declared, _, selector = text.rpartition(";") if sign == "{" else (text, "", "")
        if 0 < len(around) <= _DEEPEST and (_DISPLAY.search(declared) or _SHOWN_AT_ONCE.search(declared)):
            yield around, declared
        if sign == "{":
            around.append(selector.strip())
        elif around:
            around.pop()


def _add_hiding(rules: _Rules, selectors: str) -> None:
    for selector in map(str.strip, selectors.split(",")):
        if "[hidden" in selector:
            rules.by_attribute.add(selector)
        elif _SIMPLE.fullmatch(selector):
            rules.hiding.add(selector)


def _add_showing(rules: _Rules, around: Sequence[str], *, by_display: bool, at_once: bool) -> None:
    """Add the elements that a rule shows: by class and id, and where it has none, by tag."""
    # A selector in another one may stand for it.
    whole = " ".join(one for one in around if not one.startswith("@")).replace(" &", "")
    for selector in filter(None, map(str.strip, whole.split(","))):
        last = _COMBINATOR.split(selector)[-1]
        names = {name.replace("\\", "") for name in _NAME.findall(last)}
        tag = _TAG.match(last)
        if not names and (at_once or selector not in {"*", tag and tag[0]}):
            # A rule for a tag alone is weaker than one for a class.
            names = {(tag[0].lower() if tag else "") or "*"}
        if by_display:
            rules.showing.update(names)
        if at_once:
            rules.at_once.update(names)
