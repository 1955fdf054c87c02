"""Parsing of questions: the query, phrases, exclusions and filters."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from kb.records import Filters, ReadAs
from kb.search.filters import globs_from
from kb.search.types import type_named
from kb.search.words import is_stop_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# Whether a word with a minus in a question is an option of a program rather than an exclusion.
#
# ``what does tar -xzvf do`` asks about an option, ``docker -windows`` leaves a word out. Leaving out too much hides
# the answer, leaving out too little only adds hits, so whatever may well be an option is taken as one.

# Programs whose names have hardly any other meaning in a sentence.
_PROGRAMS_TEXT: Final = (
    "7z adb ansible apt apt-get aws awk az bash bat brew bzip2 bundle cargo cd chmod chown clang clang++ cmake conda "
    "cp crontab curl cscript cvs cwebp dd deno df diff dig dir dmesg dnf docker docker-compose dotnet dpkg dscl du "
    "echo emacs env exiftool fd fdisk ffmpeg ffprobe fsck fzf g++ gawk gcc gdb gem getent gfortran ghc gh ghostscript "
    "git gofmt gpg gpg2 gradle grep egrep fgrep groupadd gs gunzip gzip hadoop helm hg htop iconv ifconfig "
    "imagemagick iostat ip iptables iwconfig jar java javac javadoc journalctl jq jupyter kinit kubectl latex latexmk "
    "ldapsearch ldconfig ldd llc ln logger ls lsblk lscpu lsof lspci lsusb lua magick mbsync mkdir mkfifo mkfs mktemp "
    "modprobe mogrify mongod mongo mpv mutt mv mvn mysql mysqldump nano nc ncat ncdu netcat netsh netstat nginx nice "
    "nmap nm nohup npm npx nproc nslookup objdump openssl pacman pandoc parted pdflatex pdftk pdftotext perl pgrep "
    "php pidof pip pip3 pipx pkill pnpm podman powershell pwsh printf ps psql pwd pytest python python2 python3 qemu "
    "rar rclone readlink redis-cli rg rm rmdir robocopy rpm rsync ruby rustc scp sed sftp sh shellcheck shutdown "
    "socat sqlite3 ss ssh ssh-add ssh-keygen stat strace stty su sudo svn swaks systemctl tar tcpdump tee terraform "
    "tmux touch traceroute tsc tshark ufw umount uname uniq unrar unzip useradd usermod uv vboxmanage vim vi vlc "
    "vmstat wc wget whoami xargs xcopy xelatex xmllint xrandr xset xxd yarn youtube-dl yt-dlp yum zcat zfs zip zpool "
    "zsh"
)
_PROGRAMS: Final = frozenset(_PROGRAMS_TEXT.split())
# Programs with the names of common words: only what follows them directly, or is a known option, is one.
_EVERYDAY_PROGRAMS_TEXT: Final = (
    "at cat compare convert cut date expand file find fold go head host identify import install join kill killall "
    "less link locate look mail make man more mount node open paste patch ping read route screen script service set "
    "sleep sort source split strings strip tail test time top tr tree view watch which who yes"
)
_EVERYDAY_PROGRAMS: Final = frozenset(_EVERYDAY_PROGRAMS_TEXT.split())
# Options of several letters after one minus, of find, java, ffmpeg, openssl, go, terraform, X and ImageMagick.
_LONG_OPTIONS_TEXT: Final = (
    "accel acodec ac addext agentlib agentpath align amin and anewer annotate append ar arch async atime attach "
    "auto-approve autoclose auto-orient backend background bench benchmem bitexact blur boot bootclasspath bsf "
    "buildmode cacert cafile cert channels classpath cmin cnewer codec colorspace config copyts count cover "
    "coverprofile crf crop cp ctime daemon daystart days debug delete density depth destroy directory disable display "
    "dump duration echo ef empty enable encoding enddate exec execdir executable export extensions false file filter "
    "filter_complex fingerprint flags flatten fls follow force format fprint fps framerate fs fstype geometry gid "
    "gravity group hash headerpad help hide_banner ilname iname inform inkey input inum ipath iregex issuer "
    "iwholename jar javaagent json key keyout keyform ldflags gcflags links list lname lock loglevel ls map maxdepth "
    "maxrate message metadata migrate min mindepth minrate mmin modulus mount movflags mtime name namespace negate "
    "newer newkey no nodes nogroup nologo nolisten nouser noout ojson ok okdir or out outform output owide oyaml "
    "parallel parse passin passout path perm pix_fmt plan pprof preset print print0 printf profile prune pubin pubout "
    "quality quit race readable readrate recursive refresh regex regextype resize resolution rotate run samefile "
    "scale screen server sha256 shared short showversion shortest shutdown silent size sort source startdate state "
    "static stats std stream_loop strip subj subject sync target tbs text threads timeout trimpath true tune type uid "
    "update upgrade upostgres uroot used user vcodec var var-file vcodec verbose verify version vf vframes vn volume "
    "warning wholename with work writable x509 xdev xtype year"
)
_LONG_OPTIONS: Final = frozenset(_LONG_OPTIONS_TEXT.split())
# One-letter options that are joined in one word, by program.
_JOINED: Final = {
    "tar": "AcCdfhIjJkmOpPrtTuUvwWxXzZ",
    "ls": "1aAbBcCdDfFgGhHiIklLmnNopqQrRsStTuUvwxXZ",
    "ps": "aAcdefgGhHjklLmMnNopqrStTuUvwxyZ",
    "rsync": "abcCdDeghHiIklLmnoOpPqrRsStTuvWxXyz",
    "grep": "ABcCdEeFfGhHiIlLmnoPqrRsTUuVvwxyzZ",
    "netstat": "aceFgilnNoprstuvVwW",
    "ss": "aAbdDeEfFHilmnNoprstuvVwxZ",
    "rm": "dfiIrRv",
    "cp": "abdfHiLlnPprRsStTuvxZ",
    "du": "0abBcdDhHkLlmPsStx",
    "df": "aBhHiklmPtTvx",
    "curl": "CdfGHIikLJoOsSuvX",
    "wget": "cEHklnNOpPqr",
    "zip": "0123456789AbcdDeFfgGhiIjJklLmnoPqrRsStTuUvVwxXyZz",
    "unzip": "abcCdDfFhjKlLMnoPpqtTuUvVWxXZ",
    "ssh": "46ACfgNnqTtvXY",
    "sed": "beEfilnrsuz",
    "sort": "bcCdfgGhikmMnorRsStTuVz",
    "perl": "0aCcdDeEFfhiIlmMnpsStTuUvVwWxX",
    "docker": "acdefhilmpqtuvw",
    "cat": "AbeEnstTuv",
    "tail": "cfFnqsvz",
    "lsof": "acCdDefFghiKklLmMnNoOpPrRsStTuUvVwxXzZ",
    "tmux": "2CcDdefLlNnSsTtuUVv",
    "chmod": "cfRvrwxXst",
    "git": "acCdDefghilmMnopqrsStuvxz",
    "kubectl": "AcfhiklLnopqRstvw",
    "xargs": "0adeEhiIlLnoprstx",
    "mount": "aBcfFhilLMnNoOpPrRstTUvVw",
    "pacman": "DFhQRSTUVabcdgiklmnopqrstuwxy",
    "journalctl": "abcDefFghklMmNnopqrStuUx",
}
_ABOUT_OPTIONS_TEXT: Final = (
    "flag flags option options switch switches parameter parameters argument arguments param params "
    "schalter opci\u00f3n"
)
_ABOUT_OPTIONS: Final = frozenset(_ABOUT_OPTIONS_TEXT.split())
# Words that follow an option in a question about it.
_ASKED_OF_TEXT: Final = "do does mean means stand stands bedeutet macht hei\u00dft steht signifie fait significa hace"
_ASKED_OF: Final = frozenset(_ASKED_OF_TEXT.split())
# Words that are followed by an option in a question about it: there is nothing yet to exclude a word from.
_WHAT_IS: Final = (["what", "is"], ["what", "are"], ["what", "was"], ["was", "ist"])
# Options that are not words of any language, so that they need not be close to their program.
_NEVER_WORDS_TEXT: Final = (
    "acodec addext amin anewer atime cmin cnewer copyts coverprofile crf ctime daystart execdir fprint fstype "
    "gcflags hide_banner ilname iname inum ipath iregex iwholename keyform keyout ldflags lname maxdepth mindepth "
    "mmin movflags mtime noout okdir passin passout pix_fmt print0 printf pubin pubout regextype samefile "
    "stream_loop vcodec vframes wholename xdev xtype"
)
_NEVER_WORDS: Final = frozenset(_NEVER_WORDS_TEXT.split())
_COMPILERS_TEXT: Final = "gcc g++ clang clang++ cc c++ gfortran rustc javac java make cmake ld"
_COMPILERS: Final = frozenset(_COMPILERS_TEXT.split())
# Words that are names if capitalized, and may then be excluded.
_NAMES_WITHOUT_VOWELS_TEXT: Final = (
    "http https html xhtml dhcp smtp kvm gnss nfts rsync zfs ntfs mqtt grpc jvm xlsx pptx btrfs mpls sftp gmbh xfs psql"
)
_NAMES_WITHOUT_VOWELS: Final = frozenset(_NAMES_WITHOUT_VOWELS_TEXT.split())
_SIGNS: Final = re.compile(r"[=/:,{}@%\\]|\+(?!\+?$)")
_JVM: Final = re.compile(r"X(?:m[xsn]|ss)\d+[kKmMgGtT]?|XX.*|D\w+(?:\.\w+)*")
_NUMBERED: Final = re.compile(r"[A-Za-z]\d+")
_MIXED: Final = re.compile(r"[a-z]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*|[A-Z][a-z]+\d\w*")
# Two letters as in ``nmap -Pn``: names of two letters are written in lower case or in capitals.
_CAPITAL_FIRST: Final = re.compile(r"[A-Z][a-z]")
# With IGNORECASE, s and k would also match letters beyond ASCII.
_VOWEL: Final = re.compile(r"[aeiouyAEIOUY\u0080-\uffff]")
_AROUND: Final = ".,;:!?()[]{}<>\"'`\u201c\u201d\u201e\u00ab\u00bb\u00bf$"
_REACH, _EVERYDAY_REACH = 4, 1
_SHORT, _LONG, _JOINED_MOST = 3, 4, 7


def is_option(word: str, before: str, after: str, written: Callable[[str], bool] = lambda _: False) -> bool:
    """Whether ``-word`` in a question is an option of a program.

    Args:
        word: The word without its minus.
        before: The question before the minus.
        after: The question after the word.
        written: Whether the notes contain the word as an option.
    """
    if is_stop_word(word) or _SIGNS.search(word):
        # To leave out "it" or "all" would leave out every passage.
        return True
    if word.endswith("-") or (_JVM.fullmatch(word) and not word.isalpha()):
        return True
    words = _words(before)
    behind = next(iter(_words(after)), "")
    asked = words[-2:] in _WHAT_IS or words[-1:] in (["what's"], ["does"])
    if asked or behind in _ASKED_OF | _ABOUT_OPTIONS or (words and words[-1] in _ABOUT_OPTIONS):
        return True
    if is_cluster(word) and (len(word) >= _LONG or _programs(_words(f"{before} {after}"))):
        return True
    if word in _NEVER_WORDS and _programs(words, _EVERYDAY_PROGRAMS):
        return True
    return any(_is_option_of(program, word, away) for program, away in _behind(words)) or written(word)


def is_plain(word: str, text: str) -> bool:
    """Whether a word is clearly an option, so that no notice is needed."""
    return is_stop_word(word) or (is_cluster(word) and _programs(_words(text)))


def _is_option_of(program: str, word: str, away: int) -> bool:
    """Whether a word may be an option of a program that many words before it."""
    if word.lower() in _LONG_OPTIONS or _MIXED.fullmatch(word) or _NUMBERED.fullmatch(word):
        return True
    if program in _COMPILERS and word[0] in "WXfmD":
        return True
    if word.isascii() and word.isalpha() and len(word) <= _JOINED_MOST and set(word) <= set(_JOINED.get(program, "")):
        return True
    if _CAPITAL_FIRST.fullmatch(word) and program in _PROGRAMS and away == 1:
        return True
    return len(word) <= _SHORT and word.islower() and (program in _PROGRAMS or away <= _EVERYDAY_REACH)


def is_cluster(word: str) -> bool:
    """Whether letters do not form a word: ``xzvf``, ``sSL``."""
    if not word.isascii() or word.isupper() or word.lower() in _NAMES_WITHOUT_VOWELS:
        return False
    return not _VOWEL.search(word) and word.isalnum() and (word.islower() or bool(_MIXED.fullmatch(word)))


def _behind(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the programs before a word that it may belong to, with their distance in words."""
    for away, word in enumerate(reversed(words[-_REACH:]), 1):
        if word in _PROGRAMS or word in _EVERYDAY_PROGRAMS:
            yield word, away
        elif is_stop_word(word):
            return


def _programs(words: Sequence[str], more: frozenset[str] = frozenset()) -> bool:
    return any(word in _PROGRAMS or word in more for word in words)


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case, without surrounding punctuation."""
    return [bare for word in text.split() if (bare := word.strip(_AROUND).lower())]


# Days as people type them: 2026-01-15, today, yesterday, or how long ago (7d, 2w, 3m, 1y).

_AGO: Final = re.compile(r"(\d{1,5})([dwmy])")
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"m": 1, "y": 12}


def parse_day(text: str, today: date) -> date:
    """Parse a day.

    Raises:
        ValueError: It is not a day, or before the first day of the calendar.
    """
    word = text.strip().lower()
    if word == "today":
        return today
    if word == "yesterday":
        return today - timedelta(days=1)
    ago = _AGO.fullmatch(word)
    if not ago:
        return date.fromisoformat(word)
    number, unit = int(ago[1]), ago[2]
    if unit in _DAYS:
        # Of five digits at most, so that the day is in the calendar.
        return today - timedelta(days=number * _DAYS[unit])
    return _months_before(today, number * _MONTHS[unit])


def _months_before(day: date, months: int) -> date:
    """Return the same day some months before, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < 1:
        raise ValueError(months)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


_QUOTED: Final = r'"[^"]+"|\u201c[^\u201d]+\u201d|\u201e[^\u201c\u201d]+[\u201c\u201d]|\u00ab[^\u00bb]+\u00bb'
# A single letter or a number after a minus is not an exclusion, but an option of some program.
_FLAG: Final = r"[a-z][.,;:!?)]*(?:\s|$)"
# Operators are at the beginning of a word: 3-2 is not an exclusion, and C:path not a filter. Final punctuation is not
# part of them.
_PARTS: Final = re.compile(
    rf"(?<!\S)(?:"
    rf"(?P<key>-?(?:tag|path|type|lang|since|until|ext|filetype|folder|language|file(?!://))):"
    rf"(?P<value>{_QUOTED}|[^\s\"]*[^\s\".,;:!?)])"
    rf"|(?P<minus>-)(?P<unwanted>{_QUOTED}|(?!{_FLAG})[^\W\d](?:\S*[^\s.,;:!?)])?)"
    rf"|(?P<phrase>{_QUOTED})"
    rf")(?![^\s.,;:!?)])",
    re.IGNORECASE,
)
_MARKS: Final = '"\u201c\u201d\u201e\u00ab\u00bb'
# Filters by the names that other programs give them.
_OTHER_NAMES: Final = {"ext": "type", "filetype": "type", "file": "path", "folder": "path", "language": "lang"}
_EVERYTHING: Final = Filters()


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed question.

    Attributes:
        text: The query for the model and the keyword index, including the phrases.
        phrases: Phrases that a passage has to contain.
        without: Words and phrases that a passage must not contain.
        filters: The filters on files.
        named: These filters as they were typed, by the names that kb has for them.
        as_words: What looks like an exclusion or a filter and was taken as words, as it was typed.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filters: Filters = _EVERYTHING
    named: tuple[str, ...] = ()
    as_words: tuple[str, ...] = ()

    @property
    def read_as(self) -> ReadAs:
        """The record of how the question was parsed, for the answer."""
        return ReadAs(self.text, self.phrases, self.without, self.named, self.as_words)


def parse(
    typed: str,
    today: date,
    *,
    literal: bool = False,
    written: Callable[[str], bool] = lambda _: False,
    cwd: str = "",
    matches: Callable[[Filters], bool] = lambda _: True,
) -> Question:
    """Parse a question with ``"an exact phrase"``, ``-word``, and filters such as ``tag:work``.

    A filter that begins with ``-`` excludes; ``ext:md`` and ``file:x`` are ``type:.md`` and ``path:x``, but words where
    they match nothing, since ``file:line`` may be asked about. What looks like a filter but names no valid day or type
    is taken as words, as is ``-word`` where that is an option of a program.

    Args:
        typed: The question.
        today: The day that relative days count back from.
        literal: Whether to take everything as words.
        written: Returns whether the notes contain a word as an option.
        cwd: The folder that ``path:`` in the question may also be relative to; empty for the watched folders only.
        matches: Returns whether a filter is known to match something.
    """
    if literal:
        return Question(" ".join(typed.split()))
    phrases: list[str] = []
    without: list[str] = []
    filters = Filters()
    named: list[str] = []
    as_words: list[str] = []
    rest: list[str] = []
    end = 0
    for match in _PARTS.finditer(typed):
        rest.append(typed[end : match.start()])
        end = match.end()
        if match["key"]:
            key, value = _own_name(match["key"], match["value"])
            more = _filter(key.lower(), value.strip(_MARKS), today, cwd)
            if more and (key == match["key"] or key.startswith("-") or matches(more)):
                filters = narrowed(filters, more)
                named.append(f"{key}:{value}")
            else:
                as_words.append(match[0])
                rest.append(match[0])
        elif match["minus"]:
            word = match["unwanted"]
            if word[0] not in _MARKS and is_option(word, typed[: match.start()], typed[end:], written):
                as_words.append(match[0])
                rest.append(match[0])
            else:
                without.append(word.strip(_MARKS))
        else:
            phrases.append(match["phrase"].strip(_MARKS))
            rest.append(phrases[-1])
    rest.append(typed[end:])
    text = " ".join(" ".join(rest).split())
    return Question(text, _said(phrases), _said(without), filters, tuple(named), tuple(dict.fromkeys(as_words)))


def narrowed(filters: Filters, more: Filters) -> Filters:
    """Combine two filters; of several globs, types or languages, one has to match."""
    return Filters(
        paths=filters.paths + more.paths,
        tags=filters.tags + more.tags,
        types=filters.types + more.types,
        languages=filters.languages + more.languages,
        since=max((day for day in (filters.since, more.since) if day), default=None),
        until=min((day for day in (filters.until, more.until) if day), default=None),
    )


def _said(phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase in dict.fromkeys(phrases) if phrase.strip())


def _own_name(key: str, value: str) -> tuple[str, str]:
    """Return a filter by the name that kb has for it, where it was typed by that of another program."""
    sign, name = ("-", key[1:]) if key.startswith("-") else ("", key)
    own = _OTHER_NAMES.get(name.lower())
    if own is None:
        return key, value
    # The name of a type without a dot has to be one that kb knows; a suffix need not be.
    return sign + own, f".{value.strip(_MARKS).lstrip('.')}" if own == "type" else value


def _filter(key: str, value: str, today: date, cwd: str) -> Filters | None:
    """Return a filter by its name; None where its value is invalid."""
    name = key.removeprefix("-")
    unwanted = key.startswith("-")
    try:
        if name in {"since", "until"}:
            day = parse_day(value, today)
            days = Filters(since=day) if name == "since" else Filters(until=day)
            return None if unwanted else days
        if name == "type":
            type_named(value.removeprefix("!"))
    except ValueError:
        return None
    chosen = (f"!{value}" if unwanted else value,)
    match name:
        case "tag":
            return Filters(tags=chosen)
        case "path":
            return Filters(paths=globs_from(cwd, chosen[0]))
        case "type":
            return Filters(types=chosen)
        case _:
            return Filters(languages=chosen)
