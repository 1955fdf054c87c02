"""Tells which elements of a web page or a mail its readers do not see, by attribute, style and style sheet.

What they can open, such as a tab, they do see. Losing it would be worse than reading what is never shown, so that a
style hides only where nothing else of the page seems to show the element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Controls that show an element, by its id.
_OPENS: Final = re.compile(
    r"\s(?:aria-controls\s*=\s*[\"']?|(?:href|data-(?:bs-)?target)\s*=\s*[\"']?#)([^\"'<>]{1,200})", re.IGNORECASE
)
_HANDLER: Final = re.compile(r"\son[a-z]{4,20}\s*=\s*(?:\"([^\"]{1,2000})\"|'([^']{1,2000})')", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(?:'|&#39;|&quot;|\")#?([\w-]{1,100})(?='|&#39;|&quot;|\")")
# What a handler does that shows an element without its id, such as the next one.
_SHOWS: Final = re.compile(r"display|hidden|toggle|slide", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"<script\b", re.IGNORECASE)

_SHEET: Final = re.compile(r"<style\b([^>]{0,300})>(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_OTHER_MEDIUM: Final = re.compile(r"\bmedia\s*=\s*[\"']?(?!\s*(?:all|screen)\s*[\"'>]?\s*$)\w", re.IGNORECASE)
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
# Rules for some screens, and for print. It matches at every sign, so that none is looked at twice.
_AT_RULE: Final = re.compile(r"@[^{};]*+(?:;|\{(?:[^{}]*+\{[^{}]*+\})*+[^{}]*+\}?|)")
_DISPLAY: Final = re.compile(r"(?<![\w-])display\s*:\s*([a-z-]+)", re.IGNORECASE)
_INVISIBLE: Final = re.compile(r"(?<![\w-])visibility\s*:\s*hidden", re.IGNORECASE)
_SIMPLE: Final = re.compile(r"[a-z0-9]*[.#][\w-]+", re.IGNORECASE)
_NAME: Final = re.compile(r"[.#][\w-]+")
_COMBINATOR: Final = re.compile(r"[\s>+~]+")

_WHOLE: Final = frozenset({"html", "body"})
# Fonts that draw a word, such as "home", as a picture.
_ICONS: Final = re.compile(r"\bmaterial-(?:icons|symbols)\b")


class Hidden:
    """The elements of one page that are hidden.

    Args:
        page: Its HTML.

    Attributes:
        has_scripts: Whether scripts of the page may show more.
    """

    def __init__(self, page: str) -> None:
        self.has_scripts = _SCRIPT.search(page) is not None
        handlers = ["".join(found) for found in _HANDLER.findall(page)]
        self._opened = {name for names in _OPENS.findall(page) for name in names.split()}
        self._opened.update(name for handler in handlers for name in _QUOTED.findall(handler))
        self._by_style = not any(map(_SHOWS.search, handlers))
        rules = self._by_style and not self.has_scripts
        self._hiding, self._showing = _display_rules(page) if rules else (set(), set())

    def __call__(self, tag: str, values: Mapping[str, str]) -> bool:
        """Whether an element is hidden.

        Args:
            tag: Its name.
            values: Its attributes.
        """
        if "class" in values and _ICONS.search(values["class"]):
            return True
        if tag in _WHOLE or values.get("role") == "tabpanel" or values.get("id") in self._opened:
            return False
        # A search in the page opens what is hidden until it is found.
        hidden = "hidden" in values and values["hidden"].lower() != "until-found"
        return hidden or values.get("aria-hidden") == "true" or self._is_styled(tag, values)

    def _is_styled(self, tag: str, values: Mapping[str, str]) -> bool:
        if style := values.get("style", "") if self._by_style else "":
            if _INVISIBLE.search(style):
                return True
            if said := _DISPLAY.findall(style):
                return str(said[-1]).lower() == "none"
        if not self._hiding:
            return False
        names = {f".{name}" for name in values.get("class", "").split()} | {f"#{values.get('id', '')}"}
        hidden = not names.isdisjoint(self._hiding) or any(f"{tag}{name}" in self._hiding for name in names)
        return hidden and names.isdisjoint(self._showing)


def _display_rules(page: str) -> tuple[set[str], set[str]]:
    """Return what style sheets hide, classes and ids, perhaps behind a tag; and the classes and ids that they show."""
    hidden: set[str] = set()
    shown: set[str] = set()
    for attributes, sheet in _SHEET.findall(page):
        if _OTHER_MEDIUM.search(attributes):
            continue
        for rule in _AT_RULE.sub("", _COMMENT.sub("", sheet)).split("}"):
            selectors, _, declared = rule.partition("{")
            said = _DISPLAY.findall(declared)
            for selector in filter(None, map(str.strip, selectors.split(",") if said else ())):
                if said[-1].lower() != "none":
                    shown.update(_NAME.findall(_COMBINATOR.split(selector)[-1]))
                elif _SIMPLE.fullmatch(selector):
                    hidden.add(selector)
    return hidden, shown
