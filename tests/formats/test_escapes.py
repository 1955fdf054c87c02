r"""Characters written as escapes, as ``\u00fc`` and ``&uuml;``, are read as characters; the lines stay as they are."""

from __future__ import annotations

import json
from datetime import date

import pytest
from growth import is_linear

from kb.chunking.split import Chunker
from kb.formats.text import extract
from kb.testing import FakeTokens


def embedded(name: str, text: str) -> str:
    """What the model reads of a file."""
    return "\n".join(one.embedded for one in Chunker(FakeTokens(limit=256), 256).split(extract(name, text.encode())))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", json.dumps({"a": "Zoë\nGabel\tstütze"}), '{"a": "Zoë Gabel stütze"}'),
        ("a.json", json.dumps(["Müsli 🥣", 'C:\\new "x"']), '["Müsli 🥣", "C:\\new "x""]'),
        ("a.json", r'{"url":"https:\/\/b.org\/a","x":"\ud83d."}', '{"url":"https://b.org/a","x":"."}'),
        (
            "a.jsonl",
            json.dumps({"role": "user", "text": "Rohr\u00f6ffnung"}),
            '{"role": "user", "text": "Rohröffnung"}',
        ),
        ("a.yaml", 'a: "Br\\xFCcke \\\n  \\ am Zoll\\u00E4mtchen\\U0001F963"', 'a: "Brücke  am Zollämtchen🥣"'),
        ("a.yaml", "a: C:\\new\nb: 'C:\\table'\nc: 5\" C:\\new \"", "a: C:\\new\nb: 'C:\\table'\nc: 5\" C:\\new \""),
        ("a.toml", "a = \"K\\u00f6ln\"\nb = 'C:\\new'", "a = \"Köln\"\nb = 'C:\\new'"),
        (
            "a.json5",
            r"{a: 'Pf\u00f6rt\'ner', // it's \u00fc" + '\nb: "C\\xf4te" /* "\\u00fc */}',
            """{a: 'Pfört'ner', // it's \\u00fc\nb: "Côte" /* "\\u00fc */}""",
        ),
        (
            "a.jsonc",
            '// "tabs\n{"a": "Pf\\u00f6rtner", "b": "http://x\\u00fc"}',
            '// "tabs\n{"a": "Pförtner", "b": "http://xü"}',
        ),
        ("a.json", "{'a': 'sp\\u00e4t',\n 'b': 'Gr\\\n\u00fc\u00dfe'}", "{'a': 'spät',\n 'b': 'Grüße'}"),
        (
            "a.properties",
            "a=Pf\\u00f6rtner\\nC\\:\\\\new\nb\\ c=Tor\\\n  turm, don''t ''x''",
            "a=Pförtner C:\\new\nb c=Torturm, don't ''x''",
        ),
        ("a.properties", "# C:\\new \\u00fc\n\\=C:\\u00", "# C:\\new \\u00fc\n=C:\\u00"),
        ("a.conf", "a=Pf\\u00f6rtner C:\\new don''t", "a=Pförtner C:\\new don''t"),
        (
            "a.strings",
            '/* it\\U00fc */ "k" = "Gr\\U00FC\\u00dfe\\n\\"aus\\" K\\U00F6ln";',
            '/* it\\U00fc */ "k" = "Grüße "aus" Köln";',
        ),
        ("a.po", '# it "s\nmsgid "Mills\\n"\nmsgstr "M\\303hlen\\n"', '# it "s\nmsgid "Mills "\nmsgstr "M\\303hlen "'),
        ("a.kml", "<name>B&#252;rste</name>", "<name>Bürste</name>"),
        ("a.xml", "<a>B&#252;rste &#xE4; &eacute; R&amp;D &nosuch;</a>", "<a>Bürste ä é R&D &nosuch;</a>"),
        ("a.xml", "<a><![CDATA[B&#252;rste]]> &uuml;</a>", "<a><![CDATA[B&#252;rste]]> ü</a>"),
        ("a.md", "Stra&szlig;e, T&#246;pfer&nbsp;Q&amp;A `&uuml;`", "Straße, Töpfer Q&A `&uuml;`"),
        ("a.md", "snake\\_case, don\\'t, self\\-made, \\_x, a\\\\_b", "snake_case, don't, self-made, _x, a\\\\_b"),
        ("a.md", "1\\. C:\\new\\dir \\* $a\\,b\\\\c$ `a\\_b`", "1\\. C:\\new\\dir \\* $a\\,b\\\\c$ `a\\_b`"),
        ("a.md", "**W**orld un**believ**able 中**文**字 a*b*c", "World unbelievable 中文字 a*b*c"),
        ("a.md", "**bold** *it*, 2*3*4, x **a** b `**W**orld`", "**bold** *it*, 2*3*4, x **a** b `**W**orld`"),
        ("a.md", "H~2~O and x^2^, 19^th^ ~~gone~~ a~b x^n^", "H2O and x2, 19th ~~gone~~ a~b x^n^"),
        (
            "a.md",
            "<b>W</b>orld CO<sub>2</sub> x <b>y</b> note<sup>1</sup>",
            "<b>World CO2 x <b>y</b> note<sup>1</sup>",
        ),
        ("a.md", "==M==ark [[Haus]]tür bi[[x|ke]] [[dog]]s a == b == c", "Mark Haustür bike [[dog]]s a == b == c"),
        ("a.toml", 'a = """\nM\\u00fchle "x" \\\n  y"""', 'a = """\nMühle "x" y"""'),
        ("a.canvas", '{"nodes":[{"id":"1","type":"text","text":"**W**orld &uuml; `**a**b`"}]}', "World ü `**a**b`"),
        ("a.md", "```\n**W**orld &uuml;\n```", "```\n**W**orld &uuml;\n```"),
        (
            "a.adoc",
            "x **W**orld H~2~O caf&#233; don`'t super{shy}kali a{nbsp}b",
            "x World H2O café don't superkali a b",
        ),
        ("a.adoc", "----\n**W**orld {shy}\n----", "---\n**W**orld {shy}\n---"),
        ("a.rst", "*W*\\ orld re\\ **struct**\\ ured H\\ :sub:`2`\\ O it\\'s", "World restructured H2O it's"),
        ("a.rst", "*bold* :ref:`x` a\\b \\\\", "*bold* :ref:`x` a\\b \\\\"),
        ("a.rst", "::\n\n  *W*\\ orld", "::\n\n  *W*\\ orld"),
        ("a.org", "H_{2}O stra\\szlig{}e na\\iuml{}ve *b*\u200bold \\Auml pfel", "H2O straße naïve bold Ä pfel"),
        ("a.org", "$g(\\cdot) = x_{1}$, 10^{12} and \\(y_{2}\\)", "$g(\\cdot) = x_{1}$, 10^{12} and \\(y_{2}\\)"),
        ("a.org", "\\imath \\dot x \\Zslash", "\\imath \\dot x \\Zslash"),
        ("a.org", "\\alpha \\sum_{i} \\frac \\nosuch", "\\alpha \\sum_{i} \\frac \\nosuch"),
        ("a.tex", "\\emph{W}orld un\\textbf{bel}able H$_2$O, C$_{60}$", "World unbelable H2O, C60"),
        (
            "a.tex",
            "x\\footnote{y} \\textbf{bold} a$_n$ $a_2$ b$^1$ \\TeX{}t",
            "x\\footnote{y} \\textbf{bold} a$_n$ $a_2$ b$^1$ \\TeX{}t",
        ),
        ("a.tex", 'of\\/fice shelf{}ful f\\mbox{}l Auf"|lage self"=made', "office shelfful fl Auflage self-made"),
        ("a.tex", "Wasser%\n  fall 5\\%\nx% y\nz", "Wasserfall 5\\%\nx\nz"),
        ("a.tex", '\\usepackage[ngerman]{babel}\n"Ubung Ma"s "so"', '\\usepackage[ngerman]{babel}\nÜbung Maß "so"'),
        (
            "a.tex",
            '\\usepackage[ngerman]{babel}\nGr"o"se "Uberf"ullung "so", "also" f"ur',
            '\\usepackage[ngerman]{babel}\nGröße Überfüllung "so", "also" für',
        ),
        ("a.tex", '\\usepackage[french]{babel}\n"Ubung', '\\usepackage[french]{babel}\n"Ubung'),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:03.000\nR&amp;D at the&nbsp;mill\n", "R&D at the mill"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:03,000\nM&#252;hle\n", "Mühle"),
        ("a.txt", "C:\\u00fc &uuml; **W**orld", "C:\\u00fc &uuml; **W**orld"),
    ],
)
def test_escapes_are_read_as_characters(name: str, text: str, said: str) -> None:
    """In the strings of data, in settings, in XML, and in markup outside of code."""
    assert embedded(name, text) == said


def test_tags_within_words_of_subtitles() -> None:
    """They do not divide words, and stay what is left out of what is embedded."""
    text = "1\n00:00:01,000 --> 00:00:02,000\n<i>W</i>orld {\\an8}of <b>mills</b>\n"
    (passage,) = Chunker(FakeTokens(limit=256), 256).split(extract("a.srt", text.encode()))

    assert passage.embedded == "World of mills"
    assert "World" in passage.searched


def test_title_author_and_date_on_one_line_of_latex() -> None:
    """Each is read, wherever it stands."""
    found = extract("a.tex", b"\\title{Mills} \\author{Ada} \\date{12 March 2021}\n\nText.")

    assert (found.title, found.author, found.date) == ("Mills", "Ada", date(2021, 3, 12))


def test_long_texts_without_spaces_keep_their_words() -> None:
    """They are cut amid escapes; nothing but the one at the cut is lost."""
    text = json.dumps({"a": "我们明天去山上看日出" * 60})

    read = embedded("a.json", text).replace("\n", "")

    assert read.count("日出") > 50


@pytest.mark.parametrize(
    "text",
    [
        '"\\' * 50_000,
        "&" * 100_000,
        "*a" * 50_000,
        "a\\" * 50_000,
        "a<b " * 25_000,
        "<![CDATA[&" * 10_000,
        "'\\\"" * 25_000,
    ],
)
@pytest.mark.parametrize(
    "name", ["a.json", "a.yaml", "a.properties", "a.xml", "a.md", "a.tex", "a.adoc", "a.rst", "a.org"]
)
def test_time_is_linear(name: str, text: str) -> None:
    """Whatever stands in a file."""
    assert is_linear(lambda data: extract(name, data), lambda size: text.encode()[:size], 32_000)
