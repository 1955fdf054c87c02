"""Decoding: every common encoding, counted damage, and binary files."""

# ruff: noqa: RUF001 - sentences in the languages themselves are what is tested

from __future__ import annotations

import codecs
import gzip
import io
import random
import sqlite3
import struct
import zipfile
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb.formats.decode import Decoded, decode, is_binary

GERMAN = (
    "Die Straße führt über die alte Brücke nach Süden, wo im Frühjahr die Äpfel blühen. Wir müssen später noch prüfen, "
    "ob größere Mengen möglich sind, sonst reicht das Öl nicht für den Winter."
)
FRENCH = (
    "L'été dernier, nous avons visité le château près de la forêt. Le garçon était très fâché : où était la clé ? "
    "À côté, le maître répétait son rôle."
)
ENGLISH = "It’s a “quoted” note – with dashes and one naïve word in a paragraph that is otherwise plain ASCII text."
POLISH = "Wczoraj poszliśmy do biblioteki. Pożyczyliśmy trzy nowe książki i czytaliśmy je na ławce w słońcu."
RUSSIAN = (
    "Вчера мы с друзьями ходили в библиотеку. Мы взяли три новые книги и читали их на скамейке в парке. "
    "Погода была очень хорошая, поэтому настроение было прекрасным."
)
GREEK = "Χθες πήγαμε με τους φίλους μας στη βιβλιοθήκη. Δανειστήκαμε τρία καινούργια βιβλία και τα διαβάσαμε στο πάρκο."
JAPANESE = (
    "昨日は友達と一緒に図書館へ行きました。新しい本を三冊借りて、公園のベンチで読みました。"
    "天気がとても良かったので、気持ちがよかったです。"
)
CHINESE = "昨天我和朋友一起去了图书馆。我们借了三本新书,然后坐在公园的长椅上阅读。天气非常好,所以心情也很愉快。"
TAIWANESE = "昨天我和朋友一起去了圖書館。我們借了三本新書,然後坐在公園的長椅上閱讀。天氣非常好,所以心情也很愉快。"
KOREAN = "어제 친구와 함께 도서관에 갔습니다. 새 책 세 권을 빌려서 공원 벤치에서 읽었습니다. 날씨가 아주 좋았습니다."

LEGACY = [
    (GERMAN, "latin-1"),
    (FRENCH, "latin-1"),
    (FRENCH, "cp1252"),
    (ENGLISH, "cp1252"),
    (POLISH, "cp1250"),
    (POLISH, "iso8859_2"),
    (RUSSIAN, "koi8-r"),
    (RUSSIAN, "cp1251"),
    (GREEK, "cp1253"),
    (JAPANESE, "shift_jis"),
    (JAPANESE, "euc_jp"),
    (CHINESE, "gb18030"),
    (CHINESE, "gbk"),
    (TAIWANESE, "big5"),
    (KOREAN, "euc_kr"),
]
# Zero is no character of text, and a mark at the beginning is not part of it.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def lines(text: str) -> str:
    """The text as decode gives it: without a mark, with one kind of line end."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


@given(TEXT)
@example("a\r\n\rb\r\r\n\x0b\x0c\x85\u2028\u2029\x1cc")
@example("\ufeffmarked")
@example("a replacement � that was there before")
def test_utf8_round_trip(text: str) -> None:
    """UTF-8 text is decoded exactly, except for line ends."""
    data = text.encode()

    assert decode(data) == Decoded(lines(text), "utf-8", 0)


@given(TEXT, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]))
def test_byte_order_mark_selects_encoding(text: str, encoding: str) -> None:
    """The mark selects the encoding and is removed."""
    data = "\ufeff".encode(encoding) + text.encode(encoding)

    assert decode(data) == Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), encoding, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded(data: bytes) -> None:
    """Any bytes give a text with one kind of line end, and a count of replacements."""
    decoded = decode(data)

    assert "\r" not in decoded.text
    assert 0 <= decoded.replaced <= len(data)
    assert is_binary(data) in {True, False}


@pytest.mark.parametrize(("text", "encoding"), LEGACY)
@pytest.mark.parametrize("shape", ["{}", "Plain ASCII first.\r\n\r\n{}\r\n", "# {0}\n\n- {0}\n- {0}\n"])
def test_paragraph_in_legacy_encoding(text: str, encoding: str, shape: str) -> None:
    """Sentences in the encodings of their languages are decoded without loss, and are not binary."""
    written = shape.format(text)

    data = written.encode(encoding)

    assert (decode(data).text, decode(data).replaced) == (lines(written), 0)
    assert not is_binary(data)


@pytest.mark.parametrize(
    ("text", "encoding"), [(JAPANESE, "shift_jis"), (CHINESE, "gb18030"), (RUSSIAN, "koi8-r"), (GERMAN, "latin-1")]
)
def test_long_line_in_legacy_encoding(text: str, encoding: str) -> None:
    """Even if the sample ends inside a character."""
    for start in range(3):
        written = "a" * start + text * 600

        assert decode(written.encode(encoding)).text == written


def test_single_legacy_character_far_down() -> None:
    """The sample starts where the file is not ASCII, however late."""
    data = b"plain line\n" * 100_000 + "Grüße aus Köln, schöne Stadt am Fluß\n".encode("latin-1")

    assert decode(data).text.endswith("Grüße aus Köln, schöne Stadt am Fluß\n")


@pytest.mark.parametrize("text", ["café", "Grüße aus Köln"])
def test_few_western_words(text: str) -> None:
    """A short text is Western European by default."""
    assert decode(text.encode("latin-1")) == Decoded(text, "cp1252", 0)


SYMBOLS = (
    "±5 %", "5 £ or 6 €", "25 °C", "½ cup", "a \xd7 b ÷ c", "5 µm", "it\u2019s \u201c£5\u201d, 3 m² or 20 km³", "§ 5",
)  # fmt: skip


@pytest.mark.parametrize("text", SYMBOLS)
def test_western_symbols_among_ascii(text: str) -> None:
    """A price or a unit is too little for a detector; its symbols stand where letters of other scripts do not."""
    assert decode(text.encode("cp1252")) == Decoded(text, "cp1252", 0)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Łódź", "cp1250"),
        ("Łucja miała 5 zł", "cp1250"),
        ("Привет", "cp1251"),
        ("日本", "cp932"),
        ("合計 300円", "cp932"),
    ],
)
def test_letters_at_code_points_of_symbols(text: str, encoding: str) -> None:
    """What stands within a word or beside another character beyond ASCII is no symbol of cp1252."""
    assert decode(text.encode(encoding)) == Decoded(text, encoding, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [ENGLISH, GERMAN, RUSSIAN, GREEK, JAPANESE, CHINESE + "一一一", "hi", "a\r\nb\n"])
def test_utf16_and_utf32_without_mark(text: str, encoding: str) -> None:
    """They are decoded, and are not binary."""
    data = f"{text}\n".encode(encoding)

    assert decode(data) == Decoded(lines(f"{text}\n"), encoding, 0)
    assert not is_binary(data)


def test_damaged_utf8_is_replaced_and_counted() -> None:
    """A few invalid bytes do not change the encoding; existing replacement characters do not count."""
    text = "naïve café, über Größe � und Maß"
    data = text.encode()

    assert decode(data + b"\xff\xfe") == Decoded(text + "��", "utf-8", 2)
    assert decode(data[:40] + b"\x80" + "é".encode()) == Decoded(data[:40].decode() + "�é", "utf-8", 1)


def test_damaged_utf16_is_replaced_and_counted() -> None:
    """Half a surrogate pair and an odd last byte are replaced."""
    data = codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00\xd8" + "c�".encode("utf-16-le") + b"x"

    assert decode(data) == Decoded("ab�c��", "utf-16-le", 2)


def test_bytes_that_make_no_sense_are_replaced() -> None:
    """Letters of Latin and other scripts in turn are no text in any encoding: each loss is counted."""
    assert decode(b"a\x98A\xb1" * 8) == Decoded("a�A�" * 8, "utf-8", 16)
    assert decode(b"") == Decoded("", "utf-8", 0)


def wave() -> bytes:
    """A second of sound as 16-bit samples, as in a WAV file."""
    tone = b"".join(struct.pack("<h", int(9000 * ((i % 50) - 25) / 25)) for i in range(8000))
    return b"RIFF" + struct.pack("<I", 36 + len(tone)) + b"WAVEfmt " + bytes(20) + b"data" + tone


def archive() -> bytes:
    """A zip file with one text."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.txt", "text")
    return stream.getvalue()


def database() -> bytes:
    """A SQLite database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("create table t (x)")
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()


BINARIES = {
    "zeros": bytes(100),
    "text with a zero": b"some text, and then\0 more of it\n",
    "text with a zero, much": b"some text, and then more of it\n" * 400 + b"\0",
    "numbers": struct.pack("<200I", *range(200)),
    "small numbers": struct.pack("<200H", *range(200)),
    "floats": struct.pack("<100d", *(i / 7 for i in range(100))),
    "every byte": bytes(range(256)),
    "control characters": b"\x01\x02a\x03\x04b",
    "gzip": gzip.compress(b"text" * 100),
    "zlib": zlib.compress(random.Random(1).randbytes(3000)),
    "zip": archive(),
    "pdf": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n%%EOF\n",
    "png": b"\x89PNG\r\n\x1a\n" + b"IHDR",
    "jpeg": b"\xff\xd8\xff\xe0JFIF",
    "gif": b"GIF89a" + b"abc",
    "elf": b"\x7fELF\x02\x01\x01",
    "sqlite": database(),
    "wave": wave(),
}


@pytest.mark.parametrize("data", BINARIES.values(), ids=BINARIES.keys())
def test_binary_files_are_detected(data: bytes) -> None:
    """Common formats and raw numbers are not text."""
    assert is_binary(data)


@given(st.integers(0, 2**32), st.integers(256, 5000))
def test_random_bytes_are_binary(seed: int, size: int) -> None:
    """Noise is never text."""
    assert is_binary(random.Random(seed).randbytes(size))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"ID3 tags, PK files and GIF pictures: a note\n",
        b"BZh is how bzip2 files begin",
        b"MZ\n",
        b"\x1b[31mred\x1b[0m log line\n" * 20,
        b"page one\x0cpage two\x1a",
        codecs.BOM_UTF8 + b"text",
        codecs.BOM_UTF16_LE + "ꀀꀁ㐀㐁".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "text".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "text".encode("utf-32-le"),
        "🗒️ notes".encode(),
    ],
)
def test_text_is_not_taken_for_binary(data: bytes) -> None:
    """Unusual texts are text too."""
    assert not is_binary(data)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "data",
    [
        b"a" * 10_000_000,
        "é".encode() * 5_000_000,
        pytest.param(b"a" * 9_999_000 + b" caf\xe9 au lait", marks=pytest.mark.slow),
        pytest.param(b"\xff\n" * 5_000_000, marks=pytest.mark.slow),
        pytest.param(b"\r" * 10_000_000, marks=pytest.mark.slow),
        "день ".encode("koi8-r") * 2_000_000,
        pytest.param("word ".encode("utf-16-le") * 1_000_000, marks=pytest.mark.slow),
    ],
    ids=["ascii", "utf-8", "late", "short lines", "line ends", "koi8", "utf-16"],
)
def test_ten_megabytes_are_decoded_quickly(data: bytes) -> None:
    """The largest files, including those with a single line."""
    assert len(decode(data).text) >= len(data) // 2
    assert not is_binary(data)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("こんにちは世界", "cp932"),
        ("吾輩は猫である。\n", "cp932"),
        ("会議は明日です", "euc_jp"),
        ("会議は明日です\nabc\n", "iso2022_jp"),
        ("สวัสดีครับ ผมชื่อสมชาย", "cp874"),
        ("ｶﾀｶﾅ と ひらがな", "cp932"),
        ("牛乳、卵、チーズ", "cp932"),
        ("図書館の予約", "euc_jp"),
        ("内科の診察券を持って行く", "iso2022_jp"),
        ("Işık söndü, çiğ köfte yedik.", "cp1254"),
        ("Değişiklik listesi", "cp1254"),
        ("Bugün hava çok güzel, ılık", "cp1254"),
        ("Þetta er íslenska, já", "cp1252"),
        ("El año que viene, según él", "cp1252"),
        ("Où est passée la clé ?", "cp1252"),
        ("Häuser mieten", "cp850"),
        ("Où est passée la clé ?", "mac_roman"),
        ("Książka leży na półce", "cp1250"),
        ("Książka leży na półce", "iso8859_2"),
        ("Příliš žluťoučký kůň", "iso8859_2"),
        ("Megérkezett a könyv, győri", "cp1250"),
        ("Knyga ant lentynos, šešios žvakės", "cp1257"),
        ("Книга на полке", "koi8-r"),
        ("Книга на полке", "cp866"),
        ("Книга на полке", "iso8859_5"),
        ("Το βιβλίο στο ράφι", "cp1253"),
        ("Το βιβλίο στο ράφι", "iso8859_7"),
        ("הספר על המדף", "cp1255"),
        ("الكتاب على الرف", "cp1256"),
        ("หนังสืออยู่บนชั้น", "cp874"),
        ("你好世界,今天天气很好", "gb18030"),
        ("書在架子上", "big5"),
        ("안녕하세요 세계", "cp949"),
        ("책은 선반에", "cp949"),
        ("책은 선반에 있습니다", "iso2022_kr"),
        ("Привет, как дела сегодня", "cp1251"),
        ("Щъркелите се върнаха.", "cp1251"),
        ("Юни беше горещ.", "cp1251"),
        ("Юни беше горещ.", "mac-cyrillic"),
        ("Мама їде додому.", "cp1251"),
        ("Щи да каша, пища наша.", "cp1251"),
        ("Bread costs 5 € in town.", "iso8859-15"),
        ("Der Eintritt kostet 5 €, für Schüler 3 €.", "iso8859-15"),
        ("Le cœur a ses raisons, 3 €", "iso8859-15"),
        ("Œuvres de la mère", "iso8859-15"),
        ("Müller zahlt 5 €", "cp1252"),
        ("½ a loaf and ¼ of a cheese, 1½ pears", "cp1252"),
    ],
)
def test_few_words_identify_encoding(text: str, encoding: str) -> None:
    """One line is enough, in the encodings of its language."""
    data = text.encode(encoding)

    assert decode(data).text == text
    assert not is_binary(data)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("# -*- coding: iso-8859-2 -*-\n# Żaba\n", "iso8859-2"),
        ("Žluť\n\nvim: set fileencoding=cp1250 :\n", "cp1250"),
        ("Žluť\n" + "plain\n" * 400 + "vim: fenc=cp1250\n", "cp1250"),
        (
            'msgid ""\nmsgstr "Content-Type: text/plain; charset=ISO-8859-2\\n"\n\nmsgid "Hare"\nmsgstr "Zając"\n',
            "iso8859-2",
        ),
        ("\\usepackage[latin2]{inputenc}\nŻaba.\n", "iso8859-2"),
        ("\\inputencoding{cp1251}\nЁж\n", "cp1251"),
        ("\\usepackage[ansinew]{inputenc}\nŠ\n", "cp1252"),
        ("% !TEX encoding = ISO-8859-2\nŻaba.\n", "iso8859-2"),
        ('@charset "iso-8859-2";\n/* łoś */\n', "iso8859-2"),
        ('<?xml version="1.0" encoding="windows-1251"?><r>Ёж</r>', "cp1251"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><r>“Köln”</r>', "cp1252"),
        # Texts that only speak of one, or name one that does not fit.
        ("The charset of the old files was koi8-r. Grüße aus Köln und Größe.\n", "cp1252"),
        ("Set charset=koi8-r: Grüße aus Köln und Größe.\n", "cp1252"),
        ("encoding=cp037: Grüße aus Köln und Größe.\n", "cp1252"),
        ("coding: hex, charset used. Grüße aus Köln und Größe.\n", "cp1252"),
        ("charset=utf-8, Grüße aus Köln und Größe.\n", "cp1252"),
        ("# coding: koi8-r\nprint('Grüße')\n", "utf-8"),
    ],
)
def test_encoding_that_a_text_names(text: str, encoding: str) -> None:
    """For editors, compilers and parsers; what the bytes say comes first."""
    assert decode(text.encode(encoding)).text == text
