"""Data written as text is left out of documents; words, lines and everything around it stay."""

from __future__ import annotations

import base64
import binascii
import random
import textwrap
import time

import pytest

from kb.formats.payload import MARK, without_payload
from kb.formats.text import extract

BYTES = random.Random(1).randbytes(2_000)
PICTURE = base64.b64encode(BYTES).decode()
LINES = textwrap.fill(PICTURE, 76)
OUTLINE = "M12 2C6.48 2 2 6.48 2 12s4.48 10 10 10 10-4.48 10-10S17.52 2 12 2zm0 18c-4.41 0-8-3.59-8-8s3.59-8 8-8"


def dump(width: int = 16, sign: str = " ") -> str:
    """Bytes as hexdump and xxd print them."""
    return "\n".join(
        f"{at:08x}: {sign.join(f'{one:02x}' for one in BYTES[at : at + width])}  ..quack.."
        for at in range(0, len(BYTES), width)
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"![](data:image/png;base64,{PICTURE}) by the pond", "![]() by the pond"),
        (f"![][a]\n\n[a]: <data:image/png;base64,{PICTURE}>\n", "![][a]\n\n[a]: <>\n"),
        (
            f'<img src="data:image/gif;base64,\n{LINES}"> by the pond\nCONSTITUTIONALITY',
            '<img src=""> by the pond CONSTITUTIONALITY',
        ),
        (f"url(data:font/woff2;charset=utf-8;base64,{PICTURE}) no-repeat", "url() no-repeat"),
        ("url(\"data:image/svg+xml;utf8,<svg width='24'><path d='M0 0'/></svg>\") no-repeat", 'url("") no-repeat'),
        (
            "url(data:image/svg+xml,%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%22%3E%3C/svg%3E) no-repeat",
            "url() no-repeat",
        ),
        (f'{{"icon": "{PICTURE}", "name": "Otter"}}', f'{{"icon": "{MARK}", "name": "Otter"}}'),
        ('{"icon": "' + LINES.replace("\n", "\\n") + '", "name": "Otter"}', f'{{"icon": "{MARK}", "name": "Otter"}}'),
        (f"icon: !!binary |\n{textwrap.indent(LINES, '  ')}\nname: Otter", f"icon: !!binary | {MARK} name: Otter"),
        (
            f"-----BEGIN CERTIFICATE-----\n{LINES}\n-----END CERTIFICATE-----\nof the otter",
            "-----BEGIN CERTIFICATE----- -----END CERTIFICATE----- of the otter",
        ),
        (
            (
                f"-----BEGIN PGP SIGNED MESSAGE-----\n\nOtters swim.\n-----BEGIN PGP SIGNATURE-----\n\n{LINES}\n=abcd\n"
                "-----END PGP SIGNATURE-----"
            ),
            "-----BEGIN PGP SIGNED MESSAGE----- Otters swim. -----BEGIN PGP SIGNATURE----- -----END PGP SIGNATURE-----",
        ),
        (f"key {BYTES.hex()} of the otter", f"key {MARK} of the otter"),
        (f"before\n{dump()}\nafter", f"before {MARK} after"),
        (f"before\n{textwrap.fill(BYTES.hex(' '), 48)}\nafter", f"before {MARK} after"),
        (
            "x[] = {\n"
            + "\n".join(", ".join(f"0x{one:02x}" for one in BYTES[at : at + 12]) + "," for at in range(0, 240, 12))
            + "\n};\nint duck;",
            f"x[] = {{ {MARK} }}; int duck;",
        ),
        (f'<svg><title>Duck</title><path d="{OUTLINE}"/></svg>', f'<svg><title>Duck</title><path d="{MARK}"/></svg>'),
        (
            f"<d>\n<name>Duck</name><pem>{LINES}</pem><note>quacks</note></d>",
            f"<d> <name>Duck</name><pem>{MARK}</pem><note>quacks</note></d>",
        ),
        (
            "begin 644 duck.png\nM" + "\nM".join(["#V-O;6UO;B!S96YS92!I<R!N;W0@<V\\@8V]M;6]N"] * 9) + "\n`\nend\nafter",
            f"begin 644 duck.png {MARK} end after",
        ),
        (
            "begin 644 duck.png\n"
            + "".join(binascii.b2a_uu(BYTES[at : at + 45]).decode() for at in range(0, 450, 45))
            + " \nend\nx",
            f"begin 644 duck.png {MARK} end x",
        ),
        (f"a <~{base64.a85encode(BYTES, wrapcol=72).decode()}~> b", f"a <~{MARK}~> b"),
        (f"a\n{textwrap.fill(base64.b32encode(BYTES).decode(), 64)}\nb", f"a {MARK} b"),
    ],
)
def test_encoded_data_is_removed(text: str, left: str) -> None:
    """Nothing of the data is left, everything else is, at its line."""
    found = without_payload(text)

    assert "".join(found.split()) == "".join(left.split())
    assert found.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a/" + "/".join(["long-words-of-an-Address-2024"] * 9),
        "\n".join(f"docs/Architecture/2024/some-long-directory-name/another-{at}" for at in "abcdef"),
        "\n".join(["ACGTACGTAGCTAGCTAGCATCGATCAGCTAGCATCGACTAGCATCGACTAGC", "GATTACA" * 7 + "ACG"] * 5),
        f"{'0123456789abcdef' * 8}  otter.iso\n" * 5,
        "see data: the table, and data:5\n",
        "\n".join(f"12 34 56 78 90 12 34 56 78 90 12 34 5{at}" for at in range(9)),
        "\n".join(f"2024 1200 1300 1400 1500 160{at} kWh of the house" for at in range(9)),
        "-----BEGIN PGP SIGNED MESSAGE-----\n\nOtters swim.\n",
        "begin 644 and end somewhere\n",
        "begin 644 list of ducks\nMALLARD AND TEAL\nand others\nend\n",
        "a <~ b, and in the end ~> c\n" * 9,
        'd="M 1 2 L 3 4"',
    ],
)
def test_words_near_encoded_data_are_kept(text: str) -> None:
    """What only looks like data is text: addresses, paths, sequences, checksums, tables of numbers."""
    assert without_payload(text) == text


def test_embedded_picture_does_not_change_passages() -> None:
    """The picture makes no passage, no link and no word, and lines keep their numbers."""
    document = extract("villa.md", f"# Villa\n\n![](data:image/png;base64,{PICTURE})\n\nThe code is 7741.\n".encode())

    assert document.text == "# Villa\n\n![]()\n\nThe code is 7741.\n"
    assert document.links == ()
    assert [(block.first_line, block.last_line) for block in document.blocks] == [(3, 3), (5, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "ab cd " * 10 + "\n",
        "A1b",
        '"M1 2 ',
        "-----BEGIN A-----\n",
        "data:image/png;base64,",
        "a" * 76 + "\n",
        "begin 644 x\n",
    ],
)
def test_search_for_encoded_data_is_linear(text: str) -> None:
    """Text made to cost costs in proportion to its length."""
    times = []
    for size in (30_000, 240_000):
        made = text * (size // len(text))
        begun = time.thread_time()
        without_payload(made)
        times.append(time.thread_time() - begun)

    assert times[1] < 30 * max(times[0], 0.005)
