"""Whether a word with a minus in a question is an option of a program rather than a word to leave out.

``what does tar -xzvf do`` asks about an option, ``docker -windows`` leaves a word out. Leaving out too much hides the
answer, leaving out too little only adds hits, so whatever may well be an option is taken as one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.search.words import is_common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Programs whose names say nothing else in a sentence, or hardly anything else.
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
# Programs called by words of every day: only what stands right behind them, or is known as an option, is one.
_EVERYDAY_PROGRAMS_TEXT: Final = (
    "at cat compare convert cut date expand file find fold go head host identify import install join kill killall "
    "less link locate look mail make man more mount node open paste patch ping read route screen script service set "
    "sleep sort source split strings strip tail test time top tr tree view watch which who yes"
)
_EVERYDAY_PROGRAMS: Final = frozenset(_EVERYDAY_PROGRAMS_TEXT.split())
# Options of several letters behind one minus, of find, java, ffmpeg, openssl, go, terraform, X and ImageMagick.
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
# The one-letter options that are joined in one word, of the programs with which that is usual.
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
# What follows an option that is asked about.
_ASKED_OF_TEXT: Final = "do does mean means stand stands bedeutet macht hei\u00dft steht signifie fait significa hace"
_ASKED_OF: Final = frozenset(_ASKED_OF_TEXT.split())
# Right behind these an option is asked about: nothing has been said yet that a word could be left out of.
_WHAT_IS: Final = (["what", "is"], ["what", "are"], ["what", "was"], ["was", "ist"])
# Options that are no words of any language, so that they need not stand close behind their program.
_NEVER_WORDS_TEXT: Final = (
    "acodec addext amin anewer atime cmin cnewer copyts coverprofile crf ctime daystart execdir fprint fstype "
    "gcflags hide_banner ilname iname inum ipath iregex iwholename keyform keyout ldflags lname maxdepth mindepth "
    "mmin movflags mtime noout okdir passin passout pix_fmt print0 printf pubin pubout regextype samefile "
    "stream_loop vcodec vframes wholename xdev xtype"
)
_NEVER_WORDS: Final = frozenset(_NEVER_WORDS_TEXT.split())
_COMPILERS_TEXT: Final = "gcc g++ clang clang++ cc c++ gfortran rustc javac java make cmake ld"
_COMPILERS: Final = frozenset(_COMPILERS_TEXT.split())
# Written in these letters they are names, and may well be left out of an answer.
_NAMES_WITHOUT_VOWELS_TEXT: Final = (
    "http https html xhtml dhcp smtp kvm gnss nfts rsync zfs ntfs mqtt grpc jvm xlsx pptx btrfs mpls sftp gmbh xfs psql"
)
_NAMES_WITHOUT_VOWELS: Final = frozenset(_NAMES_WITHOUT_VOWELS_TEXT.split())
_SIGNS: Final = re.compile(r"[=/:,{}@%\\]|\+(?!\+?$)")
_JVM: Final = re.compile(r"X(?:m[xsn]|ss)\d+[kKmMgGtT]?|XX.*|D\w+(?:\.\w+)*")
_NUMBERED: Final = re.compile(r"[A-Za-z]\d+")
_MIXED: Final = re.compile(r"[a-z]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*|[A-Z][a-z]+\d\w*")
# Two letters as ``nmap -Pn``: a name of two letters that is left out is written in small ones or in capitals.
_CAPITAL_FIRST: Final = re.compile(r"[A-Z][a-z]")
# Ignoring case would take s and k for letters beyond ASCII.
_VOWEL: Final = re.compile(r"[aeiouyAEIOUY\u0080-\uffff]")
_AROUND: Final = ".,;:!?()[]{}<>\"'`\u201c\u201d\u201e\u00ab\u00bb\u00bf$"
_REACH, _EVERYDAY_REACH = 4, 1
_SHORT, _LONG, _JOINED_MOST = 3, 4, 7


def is_option(word: str, before: str, after: str, written: Callable[[str], bool] = lambda _: False) -> bool:
    """Whether ``-word`` in a question is an option of a program.

    Args:
        word: The word without its minus.
        before: The question up to the minus.
        after: The question behind the word.
        written: Whether the notes have the word written as an option: then they are asked about it.
    """
    if is_common(word) or _SIGNS.search(word):
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
    """Whether nobody would take an option in a question for a word to leave out."""
    return is_common(word) or (is_cluster(word) and _programs(_words(text)))


def _is_option_of(program: str, word: str, away: int) -> bool:
    """Whether a word may be an option of a program that stands so many words before it."""
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
    """Whether letters are set together that make no word: ``xzvf``, ``sSL``."""
    if not word.isascii() or word.isupper() or word.lower() in _NAMES_WITHOUT_VOWELS:
        return False
    return not _VOWEL.search(word) and word.isalnum() and (word.islower() or bool(_MIXED.fullmatch(word)))


def _behind(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The programs before a word that it may belong to, each with how many words away it is."""
    for away, word in enumerate(reversed(words[-_REACH:]), 1):
        if word in _PROGRAMS or word in _EVERYDAY_PROGRAMS:
            yield word, away
        elif is_common(word):
            return


def _programs(words: Sequence[str], more: frozenset[str] = frozenset()) -> bool:
    return any(word in _PROGRAMS or word in more for word in words)


def _words(text: str) -> list[str]:
    """The words of a text in small letters, signs around them taken off."""
    return [bare for word in text.split() if (bare := word.strip(_AROUND).lower())]
