"""Removes encoded data from text: data URIs, base64, base32, Ascii85, PEM, hex dumps, uuencode and paths of drawings.

It contains no words, and even a small picture is longer than a long note. It is removed before the text is parsed. Line
ends and the text around it are kept, so that line numbers do not change.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Replaces data within a line, such as an address.
MARK: Final = "…"
_SHORTEST_LINE: Final = 40
# The least length of a run of letters and digits that is data; a hexadecimal checksum has up to 128 digits.
_LONGEST_WORD: Final = 200
_LONGEST_CHECKSUM: Final = 128
_SURELY: Final = 1_000
_FEWEST_LINES: Final = 3
_FEWEST_DIGITS: Final = 4
_FEWEST_DUMPED: Final = 4
_RARE: Final = 0.08
_BASE32: Final = re.compile(r"[A-Z2-7]{100,}+={0,6}")
_FEWEST_OF_BASE32: Final = 24

_BASE64: Final = r"[A-Za-z0-9+/_-]"
# What may surround data on a line: indentation, quotes of mails and strings, markers of lists and comments.
_BEFORE: Final = r"[ \t>\"'#*|+]*"
_AFTER: Final = r"(?:\\[nr])*[ \t\"',;+|\\)>\]]*"
# A further line of a data URI: only data, up to the closing sign.
_URI: Final = re.compile(
    r"(?<![A-Za-z0-9])data:(?:[\w.+-]{1,60}/[\w.+-]{1,80})?(?:;[\w.+-]{1,40}(?:=[\w.+-]{1,60})?){0,6}?;base64,"
    rf"[ \t]*(?:[A-Za-z0-9+/_=-]++|%[0-9A-Fa-f]{{2}}|\\[nr/]|\s*\n{_BEFORE}(?={_BASE64}{{16,}}+=*+{_AFTER}$)"
    rf"|\n{_BEFORE}(?={_BASE64}++=*+[\"')>]))*",
    re.MULTILINE | re.IGNORECASE,
)
_ESCAPED_URI: Final = re.compile(
    r"(?<![A-Za-z0-9])data:(?:image|font|audio|video|application)/[\w.+-]{1,80}(?:;[\w.+-]{1,40}(?:=[\w.+-]{1,60})?){0,6}"
    r",[^\s\"'<>()]{24,}+",
    re.IGNORECASE,
)
_QUOTED_URI: Final = re.compile(
    r"([\"'])data:(?:image|font)/[\w.+-]{1,80}(?:;[\w.+-]{1,40}(?:=[\w.+-]{1,60})?){0,6},[^\"'\n]*+(?:(?!\1)[\"'][^\"'\n]*+)*(?=\1)",
    re.IGNORECASE,
)
_ARMOUR: Final = re.compile(
    r"^([ \t>]*-----BEGIN (?!PGP SIGNED MESSAGE)[A-Z0-9 ]{1,60}-----)(.*?)(?=-----END |\Z)", re.MULTILINE | re.DOTALL
)
_ARMOURED: Final = re.compile(r"(?:\\[nr])*[ \t>]*=?[A-Za-z0-9+/=]{4,}(?:\\[nr])*[ \t]*")
_UUENCODED: Final = re.compile(
    r"^begin(?:-base64)? [0-7]{3,4} \S[^\n]*\n((?:[ -`]{1,80}\n)+)(?=end\b|====)", re.MULTILINE
)
_ASCII85: Final = re.compile(r"<~([!-uz\s]{80,}+)~>")
_RUN: Final = re.compile(
    rf"(?<![A-Za-z0-9+/_=\\-])(?=(?:{_BASE64}|\\[nr/]){{{_LONGEST_WORD}}})(?:{_BASE64}++|\\[nr/])*={{0,2}}"
)
_HEX_RUN: Final = re.compile(rf"(?<![A-Za-z0-9])(?:0x)?[0-9A-Fa-f]{{{_LONGEST_CHECKSUM + 1},}}+(?![A-Za-z0-9])")
_DATA_LINE: Final = re.compile(rf"({_BEFORE})({_BASE64}{{{_SHORTEST_LINE},}}+={{0,2}})({_AFTER})")
_LAST_LINE: Final = re.compile(rf"({_BEFORE})({_BASE64}{{1,}}+={{0,2}})({_AFTER})")
_LONGEST_TAGGED: Final = 1_000
_AFTER_TAG: Final = re.compile(rf"(.*<[^<>]+>[ \t]*)({_BASE64}+)[ \t]*")
_BEFORE_TAG: Final = re.compile(rf"[ \t]*({_BASE64}+={{0,2}})[ \t]*(</.*)")
# Sequences of bytes as xxd, hexdump, od and debuggers print them, and as source code contains them.
_DUMP_LINE: Final = re.compile(
    r"[ \t>]*(?:(?:(?:0x)?[0-9A-Fa-f]{4,16}[:.]?[ \t]+(?P<bytes>(?:[0-9A-Fa-f]{2,8}[ \t-]{1,3}){4,}).*"
    r"|(?P<pairs>(?:[0-9A-Fa-f]{2}[ :]){12,}[0-9A-Fa-f]{0,2})[ \t]*"
    r"|[\"']?(?P<given>(?:(?:0x|\\x)[0-9A-Fa-f]{2}[, \t\"']*){6,})[ \t\\;})\]]*)|\*)"
)
_HEXADECIMAL: Final = re.compile(r"[0-9][a-fA-F]|[a-fA-F][0-9]|x")
_OUTLINE: Final = re.compile(
    r"(?<=[\"'(])\s*[Mm]\s*[-.\d][MmLlHhVvCcSsQqTtAaZzEe\d\s,.+-]{79,}+(?=[\"')])"
    r"|(?<=\bpoints=[\"'])[\d\s,.+eE-]{80,}+(?=[\"'])"
)
_OUTLINE_SIGN: Final = re.compile(r"[\"'(]\s*[Mm]\s*[-.\d][^\"'\n]{40}|points=[\"']")
_DUMP_SIGN: Final = re.compile(
    r"^[ \t>]*(?:(?:[0-9A-Fa-f]{2,16}[ :.]{1,3}){6}|[\"']?(?:(?:0x|\\x)[0-9A-Fa-f]{2}[, \t\"']*){6})", re.MULTILINE
)


def without_payload(text: str) -> str:
    """Remove encoded data from a text. Line ends are kept, so that line numbers do not change."""
    longest = max(map(len, text.split()), default=0)
    if "data:" in text.lower():
        for address in (_QUOTED_URI, _URI, _ESCAPED_URI):
            text = address.sub(lambda found: _ends(found[0], found[1] if found.re.groups else ""), text)
    if "-----BEGIN " in text:
        text = _ARMOUR.sub(lambda found: found[1] + _without_armoured(found[2]), text)
    if "<~" in text:
        text = _ASCII85.sub(_marked, text)
    if "begin" in text:
        text = _UUENCODED.sub(_marked, text)
    if _OUTLINE_SIGN.search(text):
        text = _OUTLINE.sub(lambda found: MARK + _ends(found[0]), text)
    if longest >= _SHORTEST_LINE or _DUMP_SIGN.search(text):
        text = _without_lines(text)
    if longest >= _LONGEST_CHECKSUM:
        # Binary data has many different digits; a repeated digit is not data.
        text = _HEX_RUN.sub(lambda found: MARK if len(set(found[0].lower())) > _FEWEST_DIGITS else found[0], text)
        text = _RUN.sub(lambda found: MARK if _is_data(found[0]) else found[0], text)
    return text


def _ends(data: str, before: str = "") -> str:
    """Return the text before the data and the line ends of the data."""
    return before + "\n" * data.count("\n")


def _marked(found: re.Match[str]) -> str:
    """Replace a match whose first group is data."""
    return (
        found[0][: found.start(1) - found.start()] + MARK + _ends(found[1]) + found[0][found.end(1) - found.start() :]
    )


def _without_armoured(inside: str) -> str:
    """Remove the data between the first and the last line of PEM; the names of headers stay."""
    lines = inside.split("\n")
    kept = ["" if _ARMOURED.fullmatch(line) else line for line in lines]
    if len(lines) == 1 and "\\n" in inside:  # a key in one line of JSON or of an environment file
        return MARK
    return "\n".join(kept)


def _without_lines(text: str) -> str:
    """Remove sequences of lines that contain only data."""
    lines = text.split("\n")
    for first, end in _stretches(lines):
        longest = max(map(len, lines[first:end]))
        lines[first:end] = [MARK, *[""] * (end - first - 1)]
        # In XML, data begins right after a tag and ends right before one.
        before = lines[first - 1] if first else ""
        if len(before) < _LONGEST_TAGGED and (tagged := _AFTER_TAG.fullmatch(before)) and len(tagged[2]) <= longest:
            lines[first - 1 : first + 1] = [tagged[1] + MARK, ""]
        if end < len(lines) and (tagged := _BEFORE_TAG.fullmatch(lines[end])) and len(tagged[1]) <= longest:
            lines[end] = tagged[2]
    return "\n".join(lines)


def _stretches(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of lines of data; each sequence of similar lines is examined only once."""
    at = 0
    while at < len(lines):
        if len(lines[at]) < _SHORTEST_LINE // 2:
            at += 1
            continue
        end, is_data = _dumped(lines, at)
        if end == at:
            end, is_data = _wrapped(lines, at)
        if is_data:
            yield at, end
        at = max(at + 1, end)


def _dumped(lines: Sequence[str], at: int) -> tuple[int, bool]:
    """Return the end of the dump-like lines that begin here, and whether they are a dump, not just decimal numbers."""
    start, hexadecimal = at, 0
    while at < len(lines) and (found := _DUMP_LINE.fullmatch(lines[at])):
        hexadecimal += bool(_HEXADECIMAL.search(found["bytes"] or found["pairs"] or found["given"] or ""))
        at += 1
    return at, at - start >= _FEWEST_DUMPED and 2 * hexadecimal > at - start


def _wrapped(lines: Sequence[str], at: int) -> tuple[int, bool]:
    """Return the end of base64-like lines that begin here, and whether they are: all of one length, except the last.

    If they are not, the last one may begin another sequence.
    """
    size, parts = 0, []
    while at < len(lines) and (found := _DATA_LINE.fullmatch(lines[at])) and (not size or len(found[2]) == size):
        size = len(found[2])
        parts.append(found[2])
        at += 1
    end = at
    last = _LAST_LINE.fullmatch(lines[at]) if parts and at < len(lines) else None
    if last and len(last[2]) < size and (_kinds(last[2]) > 1 or last[2].endswith("=")):
        parts.append(last[2])
        at += 1
    if len(parts) >= _FEWEST_LINES and len(set(parts)) > 1 and _is_data("".join(parts)):
        return at, True
    return end, False


def _kinds(data: str) -> int:
    """Count the kinds of characters in a run: capitals, lower-case letters, digits."""
    return sum(bool(re.search(kind, data)) for kind in ("[A-Z]", "[a-z]", "[0-9]"))


def _is_data(run: str) -> bool:
    """Whether a long run is data; words in an address have few capitals and digits."""
    if _BASE32.fullmatch(run) and len(set(run)) > _FEWEST_OF_BASE32:
        return True
    if _kinds(run) < 3:  # noqa: PLR2004 - all of them
        return False
    capitals, small = (len(re.findall(kind, run)) / len(run) for kind in ("[A-Z]", "[a-z]"))
    return len(run) >= _SURELY or (capitals >= _RARE and small >= _RARE)
