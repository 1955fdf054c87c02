"""What readers of a page do not see is not read; what they can open is."""

from __future__ import annotations

import time

import pytest

from kb.formats.hidden import Hidden
from kb.formats.html import parsed


def text(page: str) -> str:
    """What a page says, its pieces with a slash between them."""
    return " / ".join(piece.text for piece in parsed(page).pieces)


@pytest.mark.parametrize(
    "page",
    [
        '<div style="display:none">x</div><p>Dear Anna',
        '<span style="color:#fff; DISPLAY : none !important;max-height:0">x</span><p>Dear Anna',
        "<div style='visibility: hidden'>x</div><p>Dear Anna",
        "<p>Dear Anna<span hidden>x</span>",
        '<p>Dear <i class="material-icons">home</i>Anna',
        '<p>Dear <span class="material-symbols-outlined">arrow_back</span>Anna',
        "<style type='text/css'><!-- /* x */ .y, p#y { display:none } --></style><div class='a y'>x</div><p>Dear Anna",
        '<style>@import "x"; div.pre{display:none!important}</style><div class=pre>x</div><p>Dear Anna',
        "<style>#y{display:none}@media (max-width:9px){#y{display:block}}</style><b id=y>x</b><p>Dear Anna",
    ],
)
def test_hidden_text_is_not_read(page: str) -> None:
    """By attribute, by style and by rule, and names of icons."""
    assert text(page) == "Dear Anna"


@pytest.mark.parametrize(
    "page",
    [
        # Tabs and accordions, by id, by role, by the rule that shows the open one, and by handler.
        '<a aria-controls="a b"></a><p>one<div id=b hidden>two</div>',
        '<p>one<div id="b" style="display:none">two</div><a data-bs-target="#b"></a>',
        "<p>one<a onclick=\"openTab(event, 'b')\"></a><div id=b style='display:none'>two</div>",
        '<p>one<a onclick="this.nextElementSibling.classList.toggle(\'on\')"></a><div style="display:none">two</div>',
        "<p>one<div role=tabpanel aria-hidden=true hidden>two</div>",
        "<p>one<div hidden=until-found>two</div>",
        "<details><summary>one</summary>two</details>",
        "<style>.t{display:none}.t.on{display:block}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none} input:checked + div.t {display:grid}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none}#r:checked~#t{display:block}</style><p>one<div class=t id=t>two</div>",
        # A script may show what a style sheet hides, and what a page would have no text without.
        "<script>x</script><style>.t{display:none}</style><p>one<div class=t>two</div>",
        "<script>x</script><div style='display:none'><p>one<p>two</div>",
        # Rules for print and small screens, other properties, other elements.
        "<style media=print>.t{display:none}</style><p>one<div class=t>two</div>",
        "<style>@media print{.a{color:red}.t{display:none}}</style><p>one<div class=t>two</div>",
        "<style>body .t, .t:hover, div[x] {display:none} .u{--display:none}</style><p>one<div class='t u'>two</div>",
        "<style>span.t{display:none}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none}</style><p>one<div class=t style='display:block'>two</div>",
        "<p>one<div style='content-visibility:hidden;x-display:none'>two</div>",
        "<body style='visibility:hidden'><p>one<p>two",
    ],
)
def test_what_readers_can_open_is_read(page: str) -> None:
    """Nothing that somebody may see is lost."""
    assert text(page) == "one / two"


def test_heading_that_is_a_button_is_read() -> None:
    """The heading of an accordion is a button; other buttons are no text."""
    page = "<h3><button aria-controls=p>Opening hours</button></h3><div id=p hidden>Nine to five<button>Close</button>"
    assert text(page) == "Opening hours / Nine to five"


def test_buttons_that_open_something_are_read() -> None:
    """They are questions and names of tabs."""
    page = "<button aria-expanded=false>What is it?</button><div>A mill.</div><dl><dt><button aria-controls=x>Who?"
    assert text(f"{page}</button><dd>Ana</dl>") == "What is it? / A mill. / Who? / Ana"
    assert (
        text("<button role=tab aria-controls=a>One</button><button role=tab aria-controls=b>Two</button>") == "One Two"
    )


def test_page_in_a_frame_is_read() -> None:
    """A page in an attribute of its frame stands where the frame does, in the main element too; tables stay apart."""
    table = "<table><tr><th>{0}<th>b<tr><td>1<td>2</table>"
    inner = table.format("in").replace("<", "&lt;") + "&lt;p hidden&gt;no&lt;/p&gt;"
    page = parsed(f'<main>{table.format("out")}<iframe srcdoc="{inner}">no</iframe><p>end</main>')
    assert [(piece.text, piece.table) for piece in page.pieces] == [
        ("out | b", 1), ("1 | 2", 1), ("in | b", 2), ("1 | 2", 2), ("end", 0)
    ]  # fmt: skip
    assert all(piece.main for piece in page.pieces)
    assert not parsed('<div hidden><iframe srcdoc="no"></iframe></div>').pieces


@pytest.mark.parametrize(
    "part", ["<style>", "<style>@", "<style>{", "<style>a", "<style>/*", " onclick='", " href='#", "on"]
)
def test_looking_for_styles_takes_linear_time(part: str) -> None:
    """Whatever is left open."""
    begun = time.process_time()
    Hidden(part * 100_000)
    Hidden("<style>" + part.removeprefix("<style>") * 200_000)
    assert time.process_time() - begun < 5
