"""Declared encodings of pages and mails, and the cost of a wrong byte."""

from __future__ import annotations

import pytest

from kb.formats.charset import decoded, named


@pytest.mark.parametrize(
    ("label", "data", "said"),
    [
        ("iso-8859-1", b"the \x93caf\xe9\x94 \x97 it\x92s 5 \x80", "the “café” — it\u2019s 5 €"),
        ("us-ascii", b"it\x92s", "it\u2019s"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("gb2312", "朱镕基和李喆".encode("gbk"), "朱镕基和李喆"),
        ("GBK", "㐀 one of 18030".encode("gb18030"), "㐀 one of 18030"),
        ("shift_jis", "①番の髙橋".encode("cp932"), "①番の髙橋"),
        ("x-sjis", "①番".encode("cp932"), "①番"),
        ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
        ("big5", "香港嘅".encode("big5hkscs"), "香港嘅"),
        ("iso-8859-9", b"\x93\xddstanbul\x94", "“İstanbul”"),
        ("iso-8859-8-i", "שלום".encode("iso8859-8"), "שלום"),
        ("", "Grüße".encode(), "Grüße"),
        ("", b"Gr\xfc\xdfe", "Grüße"),
        ("nonsense", b"Gr\xfc\xdfe", "Grüße"),
        ("hex", b"Gr\xfc\xdfe", "Grüße"),
        ("utf-16", "\ufeffGrüße".encode("utf-16-le"), "Grüße"),
    ],
)
def test_encoding_labels_mean_what_browsers_use(label: str, data: bytes, said: str) -> None:
    """Old labels mean their supersets; none, an unknown one and ASCII mean UTF-8, else Windows."""
    assert decoded(data, label) == said


@pytest.mark.parametrize(
    ("label", "data", "said"),
    [
        ("utf-8", "Grüße, Größe, schön".encode() + b" \xff end", "Grüße, Größe, schön \ufffd end"),
        ("", "Grüße, Größe, schön".encode() + b" \xff end", "Grüße, Größe, schön \ufffd end"),
        ("euc-jp", "今日は雨です".encode("euc-jp") + b" \xff end", "今日は雨です \ufffd end"),
        # A label that is plainly wrong.
        ("utf-8", b"Gr\xfc\xdfe, Gr\xf6\xdfe, sch\xf6n", "Grüße, Größe, schön"),
    ],
)
def test_invalid_byte_costs_one_character(label: str, data: bytes, said: str) -> None:
    """The rest of the text is decoded in its encoding."""
    assert decoded(data, label) == said


@pytest.mark.parametrize(
    ("page", "label"),
    [
        (b'<meta charset="Shift_JIS">', "Shift_JIS"),
        (b'<META http-equiv=Content-Type content="text/html; charset=gb2312">', "gb2312"),
        (b'<meta charset="utf-16">', "utf-8"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><html>', "iso-8859-1"),
        (b"<p>charset=x</p>", ""),
    ],
)
def test_encoding_declared_by_page(page: bytes, label: str) -> None:
    """In a meta tag or the XML declaration; UTF-16 is ignored there."""
    assert named(page) == label
