"""The colours of code can be read on every background that it has, in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

import pytest

_STATIC: Final = files("kb.web") / "static"
_CODE: Final = (_STATIC / "code.css").read_text("utf-8")
_PAGE: Final = (_STATIC / "kb.css").read_text("utf-8")
# What WCAG asks for text of this size.
_ENOUGH: Final = 4.5
_RGB: Final = (0.2126, 0.7152, 0.0722)


def luminance(colour: str) -> float:
    """The relative luminance of a colour such as ``#fff`` or ``#1f2328``."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * one for one in digits)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return sum(weight * one for weight, one in zip(_RGB, linear, strict=True))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def backgrounds(scheme: str) -> dict[str, str]:
    """What stands behind code: the block, and the passage in it."""
    light, _, dark = _PAGE.partition("prefers-color-scheme: dark")
    part = {"light": light, "dark": dark}[scheme]
    return {name: found[1] for name in ("wash", "passage") if (found := re.search(rf"--{name}: (#\w+)", part))}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_can_be_read(scheme: str) -> None:
    """Each colour has enough contrast to each background; that of spaces, which show none, aside."""
    part = _CODE.partition(f"prefers-color-scheme: {scheme}")[2].partition("@media")[0]
    colours = {name: colour for name, colour in re.findall(r"\.code \.(\w+) \{ color: (#\w+)", part) if name != "w"}

    assert len(colours) > 50
    assert len(backgrounds(scheme)) == 2
    faint = {
        (name, behind): round(contrast(colour, ground), 2)
        for name, colour in colours.items()
        for behind, ground in backgrounds(scheme).items()
        if contrast(colour, ground) < _ENOUGH
    }
    assert faint == {}
