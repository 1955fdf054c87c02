"""``kb search``: how its options reach the knowledge base, its formats and its notices."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_up import HOSTILE, answer, hit, known_file, passage, without_escapes

from kb.records import (
    Filters,
    Freshness,
    Hit,
    LeftOut,
    Missing,
    Mode,
    ReadAs,
    Reranking,
    Searched,
    SearchRequest,
    Unmatched,
)

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]
LITERAL = "--literal takes the question as it stands"


class Piped(io.StringIO):
    """Standard input with bytes behind it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.buffer = io.BytesIO(data)  # type: ignore[misc]  # a text stream of the standard library has it settable


def test_search_writes_a_line_a_hit_to_a_pipe(command: CommandLine) -> None:
    """Words make one question, hits are path:line:text, and the exit code is 0."""
    command.kb.given = answer(hit("Use ChromaDB."), hit("Other.", path="a.md"))

    assert command("search", "Which", "store?") == (0, "/notes/db.md:5:Use ChromaDB.\n/notes/a.md:5:Other.\n", "")
    name, asked = command.kb.asked[0]
    assert (name, asked["request"]) == ("search", SearchRequest("Which store?", cwd=str(Path.cwd())))
    assert command.kb.closed


def test_search_without_hits_is_one(command: CommandLine) -> None:
    """Nothing on standard output, exit code 1, and a word on standard error."""
    command.kb.given = answer()

    assert command("search", "x") == (1, "", "kb: nothing found\n")


def test_an_answer_that_is_not_among_the_hits_is_told(command: CommandLine) -> None:
    """Where the words answer, and the cosine puts other passages first."""
    command.kb.given = replace(answer(hit()), elsewhere=True)

    code, out, err = command("search", "x", "--json")
    assert (code, json.loads(out)["elsewhere"]) == (0, True)
    assert (
        err == "kb: passages with the words of the question are not among these hits; --mode hybrid ranks them higher\n"
    )


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (ReadAs("tar", without=("xzf",)), f"left out: passages with xzf (-xzf in the question); {LITERAL}"),
        (ReadAs("tar", without=("a b",)), f'left out: passages with a b (-"a b" in the question); {LITERAL}'),
        (
            ReadAs("docker", without=("windows",), left_out=LeftOut(3, 2, ahead=1), asked=Searched(9, 4)),
            (
                "left out: passages with windows (-windows in the question): 3 passages in 2 files, 1 of which would "
                f"come first; {LITERAL}"
            ),
        ),
        (
            ReadAs("docker", without=("zebra",), left_out=LeftOut(0, 0)),
            f"left out: passages with zebra (-zebra in the question): no passage; {LITERAL}",
        ),
        (ReadAs("pull", filters=("tag:latest",)), f"asked: only files with tag:latest; {LITERAL}"),
        (
            ReadAs("a b", phrases=("a b",), asked=Searched(1, 1)),
            f'asked: only passages with "a b": 1 passage in 1 file; {LITERAL}',
        ),
        (
            ReadAs("a b", phrases=("a b",), asked=Searched(0, 0)),
            f'asked: only passages with "a b": no passage matches; {LITERAL}',
        ),
        (
            ReadAs("a", phrases=("a", "b c"), filters=("tag:latest", "-tag:old"), asked=Searched(0, 0)),
            f'asked: only passages with "a", "b c" in files with tag:latest, -tag:old: no passage matches; {LITERAL}',
        ),
        (
            ReadAs("find -name x", as_words=("-name",)),
            '-name was read as an option of a program and left nothing out: -"name" does',
        ),
        (
            ReadAs("x type:pyhton", as_words=("type:pyhton",)),
            "type:pyhton names no type and was read as words: did you mean type:python?",
        ),
        (ReadAs("x File:line", as_words=("File:line",)), "File:line matches no file and was read as words"),
        (ReadAs("x since:then", as_words=("since:then",)), "since:then names no day and was read as words"),
    ],
)
def test_what_the_question_itself_left_out_is_told(command: CommandLine, read: ReadAs, told: str) -> None:
    """However many hits there are: the one that answers may be among those that were left out."""
    for hits in ((hit(), hit(), hit(), hit()), (hit(),)):
        command.kb.given = replace(answer(*hits), read_as=read)
        assert command("search", "x")[2] == f"kb: {told}\n"
        assert command("search", "-n", "1", "x")[2] == f"kb: {told}\n"
    _, out, _ = command("search", "x", "--json")
    found = json.loads(out)["read_as"]
    assert found["without"] == list(read.without)
    assert found["as_words"] == list(read.as_words)
    assert found["left_out"] == (asdict(read.left_out) if read.left_out else None)


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (ReadAs("", without=("a",)), "the question has no words beside what it leaves out: kb list lists files"),
        (
            ReadAs("", filters=("tag:work", "-TYPE:pdf", 'path:"my notes/"')),
            (
                "the question has no words beside its filters: "
                "kb list --tag work --type '!pdf' --path 'my notes/' lists these files"
            ),
        ),
    ],
)
def test_a_question_without_words_is_told_what_lists_files(command: CommandLine, read: ReadAs, told: str) -> None:
    """Those of its filters, where it has any."""
    command.kb.given = replace(answer(), read_as=read)

    code, _, err = command("search", "x")
    assert code == 1
    assert err.startswith(f"kb: {told}\n")


@pytest.mark.parametrize("word", ["-la", "-zvf", "-it", "-Xmx2g", "-sSL"])
def test_what_is_plainly_an_option_is_not_talked_about(command: CommandLine, word: str) -> None:
    """Nobody would have meant to leave that out; programs are told all the same."""
    command.kb.given = replace(answer(hit()), read_as=ReadAs(f"tar or curl {word}", as_words=(word,)))

    assert command("search", "x")[2] == ""
    assert json.loads(command("search", "x", "--json")[1])["read_as"]["as_words"] == [word]


def test_a_refusal_says_what_is_known(command: CommandLine) -> None:
    """The nearest passage with its cosine, how to see weak hits, and what the index lacks."""
    near = replace(hit(path="heating.md"), score=0.3125)
    lacking = Missing(waiting=0, held=144, failed=2)
    command.kb.given = replace(answer(), weak=True, nearest=near, missing=lacking)

    code, out, err = command("search", "x")
    _, told, _ = command("search", "x", "--json")

    assert (code, out) == (1, "")
    assert err == (
        "kb: no passage is near enough to be an answer; the nearest is /notes/heating.md:5-5 (cosine 0.312); "
        "--weak shows weak hits\n"
        "kb: the answer may be in what is missing from the index: 144 files held (missing from disk), "
        "2 files that could not be indexed (kb status)\n"
    )
    found = json.loads(told)
    assert found["nearest"] == {"path": "/notes/heating.md", "lines": [5, 5], "place": "", "score": 0.3125}
    assert found["missing"] == {"waiting": 0, "held": 144, "failed": 2}
    assert found["weak"] is True


@pytest.mark.parametrize(
    ("options", "index"),
    [
        ([], "kb index"),
        (["-s", "search.limit=3"], "kb -s search.limit=3 index"),
        (["--store", "/other store"], "kb -s 'store.path=/other store' index"),
    ],
)
def test_the_command_that_indexes_has_the_options_that_were_typed(
    command: CommandLine, options: list[str], index: str
) -> None:
    """Without them, it would index another store."""
    command.kb.given = replace(answer(), index=Freshness(None, 0))

    assert f"kb: nothing is indexed yet: run {index}\n" in command(*options, "search", "x")[2]


def test_what_waits_is_told_once(command: CommandLine) -> None:
    """With the remedy, and not among what is missing."""
    command.kb.given = replace(answer(pending=3), missing=Missing(waiting=3))

    _, _, err = command("search", "x")
    assert err == "kb: nothing found\nkb: 3 files not indexed yet; the answer may be incomplete: run kb index\n"


def test_what_waits_is_told_while_a_daemon_looks_through_the_folders_for_the_first_time(command: CommandLine) -> None:
    """Its whole first scan is one change that is pending, which says nothing of how many files wait."""
    index = Freshness(None, 1, watching=True)
    command.kb.given = replace(answer(), index=index, missing=Missing(waiting=79, failed=1))

    _, _, err = command("search", "x")
    assert "79 files waiting to be indexed, 1 file that could not be indexed (kb status)\n" in err
    assert err.endswith(
        "kb: kb watch is still indexing the folders; the answer may be incomplete (--wait waits for it)\n"
    )


def test_more_waiting_files_than_pending_changes_are_told(command: CommandLine) -> None:
    """A change of a folder is one change, and many files."""
    index = replace(answer().index, pending=1, watching=True)
    command.kb.given = replace(answer(), index=index, missing=Missing(waiting=12))

    assert "12 files waiting to be indexed" in command("search", "x")[2]


def test_the_rest_of_a_short_list_is_counted(command: CommandLine) -> None:
    """With how to see it."""
    command.kb.given = replace(answer(hit()), below=5, parts=3)

    _, out, err = command("search", "x", "--json")
    assert err == (
        "kb: 5 more hits are no nearer than unrelated passages: --weak shows them\n"
        "kb: the question is longer than the model reads: embedded in 3 parts and averaged\n"
    )
    assert (json.loads(out)["below"], json.loads(out)["parts"]) == (5, 3)


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        (Unmatched("tag", "wrok", ("work",)), "no file in the index has the tag wrok: did you mean work?"),
        (Unmatched("path", "a", ("b", "c")), "no file in the index matches the path a: did you mean b or c?"),
        (Unmatched("path", "zzz"), "no file in the index matches the path zzz"),
        (
            Unmatched("lang", "fr", ("en", "de"), similar=False),
            "no file in the index is in the language fr: there is en, de",
        ),
        (Unmatched("type", "pdf", ("org",), similar=False), "no file in the index is of type pdf: there is org"),
    ],
)
def test_a_filter_that_names_nothing_says_what_may_be_meant(
    command: CommandLine, unknown: Unmatched, told: str
) -> None:
    """In place of an answer that merely found nothing, and wherever files are chosen."""
    command.kb.given = replace(answer(), unmatched=(unknown,))
    command.kb.unknown, command.kb.files = (unknown,), []

    assert command("search", "x", "--tag", "y") == (1, "", f"kb: {told}\n")
    assert command("list", "--tag", "y") == (1, "", f"kb: {told}\n")
    assert command("tags", "--tag", "y")[2] == f"kb: {told}\n"
    _, out, _ = command("search", "x", "--tag", "y", "--json")
    assert json.loads(out)["unmatched"][0]["near"] == list(unknown.near)


def test_what_waits_to_be_indexed_is_told(command: CommandLine) -> None:
    """An answer that may miss something says so, beside the hits and not among them."""
    command.kb.given = answer(hit(), pending=2)

    code, out, err = command("search", "x", "--json")
    assert (code, json.loads(out)["index"]["pending"]) == (0, 2)
    assert err.startswith("kb: 2 files not indexed yet")


def test_all_options_reach_the_knowledge_base(command: CommandLine) -> None:
    """Filters and limits are asked for, never applied afterwards."""
    options = "-n 3 --min-score 0.5 --per-file 1 --path *.md --path !old/ --tag a --tag b --since 2026-01-15"
    options += " --mode hybrid --weak --explain --literal --all"
    more = ("--until", "2026-02-01", "--rerank", "lexical")

    assert command("search", "x", *options.split(), *more)[0] == 0
    assert command.kb.asked[0][1]["request"] == SearchRequest(
        "x",
        limit=3,
        min_score=0.5,
        per_file=1,
        filters=Filters(("*.md", "!old/"), ("a", "b"), date(2026, 1, 15), date(2026, 2, 1)),
        rerank="lexical",
        mode=Mode.HYBRID,
        weak=True,
        fold=False,
        explain=True,
        literal=True,
        best_seconds=None,
        cwd=str(Path.cwd()),
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--explain",), None),
        (("--json", "--explain"), None),
        ((), 0.0),
        (("--json",), 0.0),
        (("--explain", "-l"), 0.0),
        (("-l",), 0.0),
        (("--format", "csv"), 0.0),
        (("--full",), 0.0),
    ],
)
def test_only_what_shows_sentences_asks_for_them(
    command: CommandLine, options: tuple[str, ...], expected: float | None
) -> None:
    """Finding them takes time: as much as is configured (None), or none where a program waits."""
    command("search", "x", *options)

    assert command.kb.asked[0][1]["request"].best_seconds == expected


def test_whoever_reads_gets_the_sentences_that_the_model_finds(command: CommandLine) -> None:
    """Laid out as for a terminal, the hits are read by a person."""
    command("--color", "always", "search", "x")

    assert command.kb.asked[0][1]["request"].best_seconds is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "kb: 2 near-duplicates hidden (--all shows them)\n"),
        (["-l"], "kb: 2 near-duplicates hidden (--all shows them)\n"),
        (["--json"], ""),
        (["--format", "csv"], ""),
        (["--format", "md"], ""),
    ],
)
def test_what_is_folded_is_told(command: CommandLine, options: list[str], told: str) -> None:
    """On standard error, where what is written does not name it."""
    copies = (Hit(1, passage(path="a.md"), 0.5, 1.0), Hit(1, passage(path="b.md"), 0.5, 1.0))
    command.kb.given = answer(replace(hit(), duplicates=copies))

    assert command("search", "x", *options)[2] == told
    assert command.kb.asked[0][1]["request"].fold is None
    command("similar", "db.md", "--all")
    assert command.kb.asked[1][1]["request"].fold is False


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (["--json"], '{"question": "x", '),
        (["--format", "json", "--json"], '{"question": "x", '),
        (["--format", "jsonl"], '{"rank": 1, '),
        (["--format", "csv"], "rank,score,"),
        (["--format", "md"], "## x\n"),
        (["-l"], "/notes/db.md\n"),
        (["-0"], "/notes/db.md\0"),
        (["-l", "--null"], "/notes/db.md\0"),
        (["--format", "paths"], "/notes/db.md\n"),
        (["--full"], "/notes/db.md:5:Use ChromaDB.\n"),
    ],
)
def test_every_format_can_be_had(command: CommandLine, options: list[str], first: str) -> None:
    """Long and short names of a format give the same."""
    assert command("search", "x", *options)[1].startswith(first)


@pytest.mark.parametrize(
    "options",
    [
        ["--json", "-l"],
        ["--format", "csv", "--json"],
        ["--format", "text", "-0"],
        ["--min-score", "nan"],
        ["--min-score", "2"],
        ["--since", "soon"],
        ["-n", "0"],
        ["--per-file", "-1"],
        ["--format", "xml"],
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(command: CommandLine, options: list[str]) -> None:
    """A mistake on the command line is exit code 2, told on standard error, without touching the store."""
    code, out, err = command("search", "x", *options)

    assert (code, out, command.kb.asked) == (2, "", [])
    assert err.startswith("kb: ")


def test_a_question_is_read_from_standard_input(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` alone takes all of it."""
    monkeypatch.setattr(sys, "stdin", Piped(b"Wie geht das?\n"))

    command("search", "-")
    assert command.kb.asked[0][1]["request"].question == "Wie geht das?"


@pytest.mark.parametrize("words", [["  "], ["", " "]])
def test_an_empty_question_is_refused(command: CommandLine, words: list[str]) -> None:
    """Nothing asked is a mistake, not an answer without hits."""
    assert command("search", *words)[0] == 2
    assert command.kb.asked == []


def test_a_question_that_is_no_utf_8_is_asked_all_the_same(command: CommandLine) -> None:
    """An undecodable byte on the command line is no text a model could read, so it is replaced."""
    command("search", "caf\udce9")

    assert command.kb.asked[0][1]["request"].question == "caf\ufffd"


def test_colour_can_be_forced_into_a_pipe(command: CommandLine) -> None:
    """``--color always`` lays out and colours whatever standard output is; a file adds no escape of its own."""
    command.kb.given = answer(hit(f"Use a store. {HOSTILE}"))

    _, colored, _ = command("--color", "always", "search", "store")
    assert "\x1b[1;4mstore\x1b[0m" in colored
    assert "\x1b]8;" in colored
    assert "\x1b" not in without_escapes(colored)


def test_context_is_read_from_the_file(command: CommandLine, tmp_path: Path) -> None:
    """``-C`` shows the lines around a passage, but not those of a file that changed since."""
    file = tmp_path / "db.md"
    file.write_text("zero\none\ntwo\nthree\n")
    inside = hit("one\ntwo", file=known_file(folder=str(tmp_path)), first_line=2, last_line=3)

    command.kb.given = answer(inside)
    assert command("search", "x", "-C", "1")[1] == f"{file}-1-zero\n{file}:2:one\n{file}:3:two\n{file}-4-three\n"
    command.kb.given = answer(replace(inside, changed=True))
    assert command("search", "x", "-C", "1")[1] == f"{file}:2:one\n{file}:3:two\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("search", "--rerank", "which", "store"), ("cross-encoder", "which store")),
        (("search", "--rerank", "colbert", "which", "store"), ("colbert", "which store")),
        (("ask", "which", "store", "--rerank"), ("cross-encoder", "which store")),
        (("search", "--rerank=off", "which"), ("off", "which")),
        (("search", "--", "--rerank", "which"), (None, "--rerank which")),
    ],
)
def test_reranking_is_passed_on(command: CommandLine, words: tuple[str, ...], expected: tuple[str, str]) -> None:
    """Alone it means the cross-encoder, before the words of a question too."""
    command(*words)

    request = command.kb.asked[-1][1]["request"]
    assert (request.rerank, request.question) == expected


def test_reranking_is_told(command: CommandLine) -> None:
    """Its score is another number beside the cosine; that the time was over is said on standard error."""
    told = Reranking("colbert", 4, 30, 10.25, cut_off=True)
    command.kb.given = replace(answer(replace(hit(), rerank=0.25)), reranking=told)

    _, out, err = command("search", "which", "--rerank", "--json")
    _, laid_out, _ = command("--color", "always", "search", "which", "--rerank")

    found = json.loads(out)
    assert found["reranking"] == {"by": "colbert", "read": 4, "of": 30, "seconds": 10.25, "cut_off": True}
    assert (found["hits"][0]["score"], found["hits"][0]["rerank"]) == (0.75, 0.25)
    assert "reranked 4 of 30 hits in 10.2 s" in err
    assert "rerank 0.250" in without_escapes(laid_out)


def test_what_has_no_place_in_a_pipe_is_told(command: CommandLine) -> None:
    """The lines are what programs expect; formats with room have it."""
    assert "have no effect on piped text" in command("similar", "x", "--l2")[2]
    for option in ("--l2", "--explain"):
        assert "have no effect on piped text" in command("search", "x", option)[2]
        assert command("search", "x", option, "--json")[2] == ""
        assert command("--color", "always", "search", "x", option)[2] == ""
