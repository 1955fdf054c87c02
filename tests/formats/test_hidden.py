"""What readers of a page do not see is not read; what they can open is."""

from __future__ import annotations

import pytest
from growth import is_linear

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
        "<style>p.y{display:none}@media (a: dark){.y{display:block!important}}</style><p class=y>x</p><p>Dear Anna",
        "<style>p.y{display:none}@media print{@layer{b{c:d}.y{display:block}}}</style><p class=y>x</p><p>Dear Anna",
        # The preview text of a mail, in a page with scripts too.
        "<script></script><div style='display:none;font-size:1px;max-height:0'>x</div><p>Dear Anna",
        # What is beside the text, and what stands there twice so that slides go round.
        "<div class='line-numbers-wrapper' aria-hidden=true>x</div><p>Dear Anna",
        "<div class='slide slick-cloned' aria-hidden=true>x</div><p>Dear Anna",
        "<div class=modal aria-hidden=true>x</div><p>Dear Anna",
        "<style>[hidden]{display:none!important}.y{display:flex}</style><div class=y hidden>x</div><p>Dear Anna",
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
        "<main hidden><p>one<p>two",
        # Scripts and handlers may show what a style hides, those too that a program left out as it saved the page.
        "<script src=a.js></script><p>one<div style='display:none'>two</div>",
        "<a onclick='more(this)'></a><p>one<div style='display:none'>two</div>",
        "<a href='javascript:more()'></a><p>one<div style='display:none'>two</div>",
        "<!-- Page saved with a program --><p>one<div style='display:none'>two</div>",
        '<script>$RC("B:0","S:0")</script><p>one<div hidden id="S:0">two</div>',
        "<a href='https://example.org/a#t'></a><p>one<div style='display:none' id=t>two</div>",
        "<button commandfor=t></button><p>one<div hidden id=t>two</div>",
        # Rules that show it: on wide screens, by tag or attribute, whatever its style says.
        "<style>.t{display:none}@media (min-width:9px){.t{display:block}}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none}@media screen{@layer{b{c:d}.t{display:block}}}</style><p>one<div class=t>two</div>",
        "<style>@layer a{@supports(a:b){p{color:red}.t{display:none}}}</style><p>one<div class=t>two</div>",
        r"<style>.t{display:none}@media (min-width:9px){.m\:t{display:flex}}</style><p>one<div class='t m:t'>two</div>",
        "<style>.t{display:none} input:checked+div{display:block}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none} .u>:nth-child(1){display:block}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none} [data-on]{display:block}</style><p>one<div class=t data-on>two</div>",
        "<style>input:checked~.t{display:block!important}</style><p>one<div class=t style='display:none'>two</div>",
        "<style>a:hover+.t{visibility:visible!important}</style><p>one<p class=t style='visibility:hidden'>two",
        "<style>.t{color:red;&:hover{display:none}}</style><p>one<div class=t>two</div>",
        "<style>.t{display:none;&.on{display:block}}</style><p>one<div class=t>two</div>",
        "<p>one<div style='display:block!important;display:none'>two</div>",
        # The attribute is weaker than any rule for the display.
        "<style>.t[hidden]{display:block}</style><p>one<div class=t hidden>two</div>",
        "<style>.t{display:flex}</style><p>one<div class=t hidden>two</div>",
        "<p>one<div style='display:flex' hidden>two</div>",
        # Style sheets that are not in force, and braces in their strings.
        "<!--[if mso]><style>.t{display:none}</style><![endif]--><p>one<div class=t>two</div>",
        "<noscript><style>.t{display:none}</style></noscript><p>one<div class=t>two</div>",
        "<template shadowrootmode=open><style>.t{display:none}</style></template><p>one<div class=t>two</div>",
        "<p>one<iframe srcdoc='<style>.t{display:none}</style>'></iframe><div class=t>two</div>",
        "<style media='(prefers-color-scheme: dark)'>.t{display:none}</style><p>one<div class=t>two</div>",
        "<style type=text/x>.t{display:none}</style><p>one<div class=t>two</div>",
        "<style>p:after{content:'}.t{display:none'}</style><p>one<div class=t>two</div>",
        # Slides, panels, and what is behind a dialog; notes at the end of a page.
        "<div>one</div><div class=slide aria-hidden=true>two</div>",
        "<div aria-hidden=true><p>one<p>two</div><div role=dialog>Sign up</div>",
        "<p>one<aside role=doc-endnotes>two</aside>",
        "<body class=material-icons-loaded><p>one<p>two",
    ],
)
def test_what_readers_can_open_is_read(page: str) -> None:
    """Nothing that somebody may see is lost."""
    assert text(page) == "one / two"


def test_hidden_formula_beside_its_picture_is_read() -> None:
    """Wikis hide the formula, and its picture from screen readers."""
    formula = "<span class=mwe-math-mathml-inline style='display:none'><math alttext='x^2'></math></span>"
    assert text(f"<p>Let {formula}<img aria-hidden=true alt='x^2'> be") == "Let x^2 be"


def test_page_that_is_mostly_hidden_is_read() -> None:
    """Such a page waits for something; a mail with little but a padded preview text does not."""
    hidden = "<div style='display:none'><p>{}</div><p>Loading"
    assert text(hidden.format("word " * 100)).startswith("word word")
    assert text(hidden.format("word " * 10 + "\u034f " * 500)) == "Loading"


def test_saved_page_without_its_scripts_is_read_like_one_with_them() -> None:
    """Programs that save a page as one file leave them out."""
    page = "<p>one<div style='display:none'>two</div>"
    assert [piece.text for piece in parsed(page, had_scripts=True).pieces] == ["one", "two"]


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
    "part",
    [
        *("<style>", "<style>@", "<style>{", "<style>a", "<style>/*", "<style>'", "<style>display:none;{", "<style>a,"),
        *("<!--", "<noscript>", " srcdoc='", " onclick='", " href='#", " href='a", " data-a-target=", "on", "$RC("),
    ],
)
def test_looking_for_styles_takes_linear_time(part: str) -> None:
    """Whatever is left open."""
    inside = part.removeprefix("<style>")

    assert is_linear(Hidden, lambda count: part * count, 20_000)
    assert is_linear(Hidden, lambda count: f"<style>{inside * count}{'{display:block}' * (count // 10)}", 20_000)
