"""The formats for programs: names, exactness, and nothing that acts on a terminal."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

from any_answers import answers
from hypothesis import given
from made_up import FAILURE, HOSTILE, acting, answer, hit, known_file, passage

from kb.cli.output import formats
from kb.records import Answer, CheckReport, Difference, Failure, Hit, IndexReport, RebuildReport, Sentence, Shown


def test_an_answer_has_the_promised_names() -> None:
    """The object of ``kb search --json`` is a promise, down to the order of its keys."""
    copies = (Hit(1, passage(path="copy.md"), 0.5, 1.0),)
    asked = answer(replace(hit("Use ChromaDB.\nIt is embedded.", page=3, place="p. 3"), duplicates=copies), pending=2)

    told = formats.answer_object(asked)

    assert told == {
        "question": "Which vector store?",
        "mode": "dense",
        "weak": False,
        "elsewhere": False,
        "index": {
            "as_of": "2026-01-15T12:00:00+00:00",
            "pending": 2,
            "watching": False,
            "files": 0,
            "words_only": 0,
            "without_server": "",
        },
        "hits": [
            {
                "rank": 1,
                "path": "/notes/db.md",
                "lines": [5, 6],
                "page": 3,
                "heading": "Databases > Vectors",
                "title": "Databases",
                "score": 0.75,
                "l2": 0.7071,
                "text": "Use ChromaDB.\nIt is embedded.",
                "id": "db.md-id",
                "changed": False,
                "place": "p. 3",
                "alike": [{"path": "/notes/copy.md", "lines": [5, 5], "score": 0.5}],
                "embedded_in": [],
                "cosine_rank": 1,
                "bm25": 2.5,
                "bm25_rank": None,
                "fused": None,
                "best": [{"text": "Use ChromaDB.", "line": 5, "score": None}],
                "best_by": "words",
            }
        ],
    }
    assert list(told["hits"][0]) == [
        "rank", "path", "lines", "page", "heading", "title", "score", "l2", "text", "id", "changed",
        "place", "alike", "embedded_in", "cosine_rank", "bm25", "bm25_rank", "fused", "best", "best_by",
    ]  # fmt: skip


def test_best_sentences_have_their_lines_and_cosines() -> None:
    """Best first, at lines of the file."""
    best = (Sentence("It is embedded.", 1, 0.91234567), Sentence("Use ChromaDB.", 0, 0.5))

    told = formats.answer_object(answer(replace(hit("Use ChromaDB.\nIt is embedded."), best=best)))["hits"][0]

    assert told["best_by"] == "cosine"
    assert told["best"] == [
        {"text": "It is embedded.", "line": 6, "score": 0.912346},
        {"text": "Use ChromaDB.", "line": 5, "score": 0.5},
    ]


def test_an_index_run_has_the_promised_names() -> None:
    """The object of ``kb index --json`` counts files and passages and names each failure."""
    image = Failure("/notes", "a.heic", "images of this kind (.heic) cannot be read")
    report = IndexReport(1, 2, 3, 4, 5, 6, 7, 8, 9, 1.23456, held=10, failures=(FAILURE, image), reread=2)

    assert formats.index_object(report) == {
        "files": {
            "added": 1,
            "changed": 2,
            "moved": 3,
            "removed": 4,
            "unchanged": 5,
            "reread": 2,
            "failed": 1,
            "unread": 1,
            "held": 10,
            "waiting": 0,
        },
        "passages": {"embedded": 6, "reused": 7, "removed": 8, "total": 9},
        "seconds": 1.235,
        "failures": [
            {"path": "/notes/bad\x1b.md", "reason": "not text:\x07 it is binary"},
            {"path": "/notes/a.heic", "reason": "images of this kind (.heic) cannot be read"},
        ],
        "interrupted": False,
        "unembedded": 0,
        "words_only": 0,
        "unsent": 0,
        "dry_run": False,
    }


@given(answers)
def test_json_is_exact_and_harmless(asked: Answer) -> None:
    """JSON gives back every value, can be encoded, and has nothing in it that acts on a terminal."""
    written = formats.to_json(formats.answer_object(asked))

    assert json.loads(written) == formats.answer_object(asked)
    assert acting(written) == []
    assert written.encode("utf-8").count(b"\n") == 1


@given(answers)
def test_json_lines_are_one_object_a_line(asked: Answer) -> None:
    """Each hit is one line, in order, and the same object as in JSON."""
    lines = formats.jsonl(asked).split("\n")

    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == formats.answer_object(asked)["hits"]


def test_json_indented_is_the_same_object() -> None:
    """Indentation is for eyes alone."""
    told = formats.answer_object(answer(hit(HOSTILE)))

    assert json.loads(formats.to_json(told, indent=True)) == json.loads(formats.to_json(told))


def test_csv_without_hits_has_its_header() -> None:
    """The columns are the same with hits and without."""
    columns = "rank,score,l2,path,first_line,last_line,page,heading,title,changed,text,id,place,alike\n"

    assert formats.to_csv(answer()) == columns
    assert formats.to_csv(answer(hit())).startswith(columns)


def test_what_is_folded_under_a_hit_is_told_in_tables_and_lists() -> None:
    """Its place in a column of its own, and in a line under the quotation."""
    copies = (Hit(1, passage(path="a_b.md"), 0.5, 1.0), Hit(1, passage(path="c.pdf", place="p. 2"), 0.5, 1.0))
    asked = answer(replace(hit(), duplicates=copies))

    row = next(csv.DictReader(io.StringIO(formats.to_csv(asked))))
    assert row["alike"] == "/notes/a_b.md:5; /notes/c.pdf:5"
    assert formats.markdown(asked, cwd="/notes").endswith("   > Use ChromaDB.\n\n   +2 like it: a\\_b.md:5, c.pdf:5\n")


@given(answers)
def test_csv_reads_back_row_by_row(asked: Answer) -> None:
    """Each hit is one row of all columns with nothing in it that acts on a terminal."""
    written = formats.to_csv(asked)

    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert acting(written) == []
    assert [(int(row["rank"]), int(row["first_line"]), row["changed"]) for row in rows] == [
        (one.rank, one.passage.first_line, str(one.changed).lower()) for one in asked.hits
    ]
    assert all(None not in row and None not in row.values() for row in rows)


def test_markdown_is_a_list_of_links() -> None:
    """A hit is a numbered item: place as a link, cosine, heading, then its best sentences as a quotation."""
    asked = answer(hit("Use [ChromaDB](http://x)."), hit(path="a (1).md", rank=2, changed=True))

    assert formats.markdown(asked, cwd="/notes") == (
        "## Which vector store?\n"
        "\n"
        "1. [db.md:5-5](file:///notes/db.md) 0.750 · Databases \\> Vectors\n"
        "\n"
        "   > Use \\[ChromaDB\\](http://x).\n"
        "\n"
        "2. [a (1).md:5-5](file:///notes/a%20%281%29.md) 0.750 · Databases \\> Vectors · changed since indexed\n"
        "\n"
        "   > Use ChromaDB.\n"
    )


@given(answers)
def test_markdown_is_harmless(asked: Answer) -> None:
    """Nothing from a file acts on a terminal, whole passages neither."""
    assert acting(formats.markdown(asked)) == []
    assert acting(formats.markdown(asked, full=True)) == []


def test_markdown_full_quotes_every_line() -> None:
    """A whole passage stays inside its quotation."""
    assert "   > one\n   >\n   > two\n" in formats.markdown(answer(hit("one\n\ntwo")), full=True)


def test_paths_name_each_file_once() -> None:
    """Files come in the order of their best hit, relative to the current folder."""
    found = ["/notes/db.md", "/notes/sub/a.md", "/notes/db.md"]

    assert formats.paths(found, cwd="/notes") == "db.md\nsub/a.md\n"
    assert formats.paths(found) == "/notes/db.md\n/notes/sub/a.md\n"


def test_paths_with_null_are_exact_but_on_a_terminal() -> None:
    """``xargs -0`` gets the very name; a terminal gets a harmless one."""
    found = ["/notes/a\n\x1b.md"]

    assert formats.paths(found, null=True) == "/notes/a\n\x1b.md\0"
    assert formats.paths(found, null=True, exact=False) == "/notes/a\u240a\u241b.md\0"
    assert formats.paths(found) == "/notes/a\u240a\u241b.md\n"


def test_a_shown_file_has_its_passages() -> None:
    """``kb show --json`` gives the file's facts and each passage with its place."""
    told = formats.shown_object(Shown(known_file(), (passage("one\ntwo"),), changed=True))

    assert (told["path"], told["changed"], told["date"], told["tags"]) == ("/notes/db.md", True, "2026-01-15", ["work"])
    assert told["passages"] == [
        {
            "lines": [5, 6],
            "page": None,
            "place": "",
            "heading": "Databases > Vectors",
            "text": "one\ntwo",
            "id": "db.md-id",
        }
    ]


def test_checks_and_rebuilds_are_objects() -> None:
    """The other commands give programs what they give people."""
    report = CheckReport(1, 2, 3, (Difference("vector missing", "a.md"),), 1)

    assert formats.check_object(report)["differences"] == [{"kind": "vector missing", "where": "a.md", "detail": ""}]
    assert formats.rebuild_object(RebuildReport("g2", 9, 1, 0.5)) == {
        "generation": "g2",
        "passages": {"embedded": 1, "reused": 9},
        "seconds": 0.5,
        "reason": "",
    }


def test_times_are_written_with_their_zone() -> None:
    """A time without a zone would mean another one elsewhere."""
    as_of = formats.answer_object(answer())["index"]["as_of"]

    assert datetime.fromisoformat(as_of) == datetime(2026, 1, 15, 12, tzinfo=UTC)
