"""What the commands beside asking tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from any_answers import texts
from hypothesis import given
from hypothesis import strategies as st
from made_up import FAILURE, FakeKnowledge, acting, known_file

from kb.cli.output import reports
from kb.cli.output.formats import status_object
from kb.cli.output.terminal import OutputStyle
from kb.records import (
    SCANNED,
    CheckReport,
    Confinement,
    Difference,
    Failure,
    FileEvent,
    Freshness,
    IndexProgress,
    IndexReport,
    RebuildReport,
    Status,
)
from kb.watching.scheduler import WatchState

INSTALL = "pip install 'localkb[documents]'"
STYLE = OutputStyle(cwd="/notes")


def test_an_index_run_is_one_line() -> None:
    """What changed, what it cost, and how much there is."""
    report = IndexReport(added=2, removed=1, unchanged=1, embedded=1, reused=3, total=1204, seconds=3.21)

    assert reports.index_text(report) == (
        "2 added, 1 removed; 1 file unchanged; 1 passage embedded, 3 reused, 1,204 in all; 3.2 s\n"
    )


def test_an_index_run_without_changes_says_so() -> None:
    """A second run tells that there was nothing to do."""
    assert reports.index_text(IndexReport(unchanged=5, total=9, seconds=0.2)).startswith("no changes; 5 files unch")
    assert reports.index_text(IndexReport(unchanged=5, reread=1)).startswith(
        "no changes; 1 unchanged file read again; 5 files unch"
    )


def test_a_dry_run_says_that_nothing_was_written() -> None:
    """What would be done is never told as done."""
    text = reports.index_text(IndexReport(changed=2, unchanged=3, dry_run=True))

    assert text == "would index: 2 changed; 3 files unchanged. Nothing was written.\n"


def test_of_many_failures_the_first_are_told() -> None:
    """A thousand bad files do not bury the summary."""
    failures = [replace(FAILURE, path=f"{number}.bin") for number in range(23)]

    lines = reports.failures_text(failures, STYLE).splitlines()
    assert len(lines) == 21
    assert lines[0] == "0.bin: not text:\u2407 it is binary"
    assert lines[-1] == "and 3 more files: see kb status --problems"


def test_status_tells_the_facts() -> None:
    """Folders, counts, freshness, model, store and sizes; problems point to where they are listed."""
    state = replace(
        FakeKnowledge().state, failed=2, replaced=1, index=Freshness(datetime(2026, 1, 15, tzinfo=UTC), pending=1)
    )

    text = reports.status_text(state)
    assert "folder:      /notes\n" in text
    assert "files:       3, 2 could not be indexed (kb status --problems)\n" in text
    assert ", 1 file waiting\n" in text
    assert "store:       /notes/.kb (4.1 kB, g1)\n" in text
    assert "1 character replaced\n" in text


@pytest.mark.parametrize(("failed", "files"), [(0, "1"), (2, "1, 2 could not be indexed (kb status --problems)")])
def test_status_tells_which_folder_is_not_there(failed: int, files: str) -> None:
    """Beside the folder, which is not counted as a file."""
    state = FakeKnowledge().state
    problems = (
        *(Failure("/notes", f"{one}.md", "is not text") for one in range(failed)),
        Failure("/usb", "", "is away"),
    )
    state = replace(state, folders=("/notes", "/usb"), files=1, failed=failed + 1, problems=problems)

    text = reports.status_text(state)

    assert text.startswith(f"folder:      /notes\nfolder:      /usb: is away\nfiles:       {files}\n")


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (["embeddings.sqlite3.damaged"], "it can be deleted"),
        (["catalog.sqlite3.damaged"], "kb rebuild removes it and the text of deleted notes in it"),
        (["damaged-1", "embeddings.sqlite3.damaged"], "kb rebuild removes it and the text of deleted notes in it"),
    ],
)
def test_status_tells_what_was_set_aside(names: list[str], remedy: str) -> None:
    """A cache has no text, and a rebuild beside an empty one would embed everything again."""
    text = reports.status_text(replace(FakeKnowledge().state, set_aside=tuple((name, 1000) for name in names)))

    size = f"{len(names)}.0 kB"
    assert f"set aside:   {', '.join(names)} ({size}), damaged: {remedy}\n" in text


def test_status_tells_what_documents_are_not_kept_from() -> None:
    """What this system does not offer is one line; root is never held to a number of threads."""
    state = FakeKnowledge().state
    whole = replace(state, confinement=Confinement(7, ("files", "system calls"), ("threads",)))
    part = replace(state, confinement=Confinement(0, ("system calls",), ("files", "tcp", "threads")))

    assert "sandbox" not in reports.status_text(whole)
    assert "sandbox:     documents are parsed without limits on files, tcp\n" in reports.status_text(part)
    assert status_object(part)["confinement"] == {
        "landlock": 0,
        "in_force": ("system calls",),
        "missing": ("files", "tcp", "threads"),
    }


def test_status_tells_what_could_be_read_with_more() -> None:
    """Scans and images are counted with what would read them, and files that lack a package with its command."""
    problems = (
        Failure("/n", "a.pdf", f"{SCANNED}, and more"),
        Failure("/n", "b.png", "images (.png) cannot be read"),
        Failure("/n", "c.docx", f"Word documents (.docx) are read with the extra for documents: {INSTALL}"),
    )
    state = replace(FakeKnowledge().state, problems=problems)

    text = reports.status_text(state)
    assert "scans:       1 scanned document and 1 image could be searched with tesseract-ocr installed and" in text
    assert "documents:   1 file could be read after pip install 'localkb[documents]'\n" in text
    assert "could be searched with documents.ocr = true\n" in reports.status_text(state, tesseract=True)
    assert "scans" not in reports.status_text(FakeKnowledge().state)


def test_a_check_tells_each_difference() -> None:
    """Each difference is a line; the last line says what to do, or that all is well."""
    report = CheckReport(1, 2, 3, (Difference("vector missing", "a.md", "2 of 3"), Difference("file gone", "b.md")))

    assert reports.check_text(report) == (
        "vector missing: a.md (2 of 3)\n"
        "file gone: b.md\n"
        "2 differences in 1 file, 2 passages, 3 vectors; repair with kb check --repair\n"
    )
    assert reports.check_text(replace(report, repaired=1), repair=True).endswith(
        "1 difference repaired; 2 differences left in 1 file, 2 passages, 3 vectors; kb rebuild makes the vector index "
        "anew\n"
    )
    assert reports.check_text(CheckReport(1, 1, 1, repaired=2), repair=True).startswith(
        "2 differences repaired; all in"
    )
    assert reports.check_text(CheckReport(1, 1, 1)) == "all in order: 1 file, 1 passage, 1 vector\n"


def test_a_rebuild_is_one_line() -> None:
    """Where the vectors came from tells what it cost."""
    text = reports.rebuild_text(RebuildReport("g2", 9, 1, 0.5))

    assert text == "g2 built: 10 vectors, 9 reused, 1 embedded; 0.5 s\n"


def test_a_long_listing_has_a_line_a_file() -> None:
    """Passages, size, date, path, title and tags; a failed file has its reason instead."""
    files = [known_file(), known_file("b.md", state="failed", reason="binary"), known_file("c.md", state="pending")]

    assert reports.list_text(files, STYLE).splitlines() == [
        "       2    1.2 kB 2026-01-15 en   db.md  Databases  #work",
        "  failed    1.2 kB                 b.md: binary",
        " pending    1.2 kB 2026-01-15 en   c.md  Databases  #work",
    ]


@pytest.mark.parametrize(
    ("index", "hits", "said"),
    [
        (Freshness(None, 0), 0, "nothing is indexed yet: run kb index"),
        (Freshness(None, 0), 1, ""),
        (Freshness(datetime(2026, 1, 1, tzinfo=UTC), 0), 0, ""),
        (Freshness(None, 1), 1, "1 file not indexed yet; the answer may be incomplete: run kb index"),
        (
            Freshness(None, 1, watching=True),
            0,
            "kb watch is still indexing the folders; the answer may be incomplete (--wait waits for it)",
        ),
        (Freshness(None, 2), 1, "2 files not indexed yet; the answer may be incomplete: run kb index"),
    ],
)
def test_an_answer_of_an_old_index_is_never_silent(index: Freshness, hits: int, said: str) -> None:
    """What waits is told with every answer; a fresh index is not talked about."""
    assert reports.freshness_notice(index, hits=hits) == said


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (10**16, "10000.0 TB")]
)
def test_sizes_are_readable(number: int, shown: str) -> None:
    """Bytes in the unit that fits."""
    assert reports.size(number) == shown


def test_settings_are_aligned_with_their_origin() -> None:
    """Key and value as in the file, the origin as a comment."""
    rows = [("a.b", "1", "default"), ("a.long", '"x"', "$KB_A__LONG")]

    assert reports.settings_text(rows) == 'a.b = 1       # default\na.long = "x"  # $KB_A__LONG\n'


@given(texts, texts, st.integers(0, 3))
def test_no_report_has_an_escape(name: str, words: str, count: int) -> None:
    """Names and reasons come from files; nothing in them acts on a terminal, and each stays on its line."""
    failures = [Failure("/notes", name, words)] * count
    file = known_file(name or "x", title=words, tags=(words,))
    state = Status(
        (f"/{name}",), f"/{name}", words, words, "g", 1, 1, 0, 0, 0, 1, 1, Freshness(None, 0), (), ((f"/{name}", 30),)
    )
    daemon = {"state": "polling", "reason": words, "waiting": 2, "pid": 7, "since": "2026-01-15T12:00:00+00:00"}
    daemon |= {"errors": [words]}
    check = CheckReport(1, 1, 1, (Difference("file gone", name, words),) * count)

    told = [
        reports.failures_text(failures, STYLE),
        reports.list_text([file, replace(file, state="failed", reason=words)], STYLE),
        reports.status_text(state, daemon),
        reports.event_text(FileEvent("moved", "/notes", name, words), 0.2, "/notes"),
        reports.event_text(FileEvent("failed", "/notes", name, reason=words), 0.2, "/notes"),
        reports.check_text(check),
        reports.settings_text([("a.b", words.replace("\n", ""), name)]),
    ]
    assert [acting(text) for text in told] == [[]] * len(told)
    assert [len(text.splitlines()) for text in told] == [count, 2, 11, 1, 1, count + 1, 1]


def test_a_store_without_a_fingerprint_has_none_yet() -> None:
    """Before the first run no model has filled it."""
    told = reports.status_text(replace(FakeKnowledge().state, fingerprint=""))

    assert "fingerprint: none yet\n" in told


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (FileEvent("added", "/notes", "a.md", passages=4, reused=3), "added a.md (4 passages, 3 reused, 0.21 s)"),
        (FileEvent("changed", "/more", "a.md", passages=1), "changed /more/a.md (1 passage, 0 reused, 0.21 s)"),
        (FileEvent("moved", "/notes", "b.md", before="a.md"), "moved a.md -> b.md"),
        (FileEvent("removed", "/notes", "a.md"), "deleted a.md"),
        (FileEvent("failed", "/notes", "a.md", reason="it is binary"), "failed a.md: it is binary"),
    ],
)
def test_a_line_of_the_log_says_what_became_of_a_file(event: FileEvent, line: str) -> None:
    """The kind, the path from where the watcher was started, and what it cost."""
    assert reports.event_text(event, 0.21, "/notes") == line


def test_the_daemon_is_told_in_one_line() -> None:
    """How it follows the disk, why not better, who it is, since when, and what waits."""
    daemon = {"state": "polling", "reason": "as configured", "waiting": 1, "pid": 7, "errors": ["disk full"]}
    daemon |= {"since": datetime(2026, 1, 15, 12, tzinfo=UTC).astimezone().isoformat()}
    since = reports.moment(datetime(2026, 1, 15, 12, tzinfo=UTC))

    assert reports.daemon_text(daemon) == (
        f"polling (as configured), process 7 since {since}, 1 place waiting; disk full"
    )


def test_a_daemon_that_reloaded_its_configuration_is_running() -> None:
    """It answers, and reads the folders again; that is not its start."""
    run = IndexProgress(12, 1200, 3, 9, 0, 8, 60.0, "reading", 100)
    state = WatchState("starting", "The first full scan has not finished", 0, 1, None, datetime.now(UTC))
    daemon = reports.daemon_status(state, ["/notes"], datetime.now(UTC), "", run, rescans=True)

    assert reports.daemon_text(daemon).startswith("running, process ")
    assert reports.daemon_text(daemon).endswith(
        ", configuration reloaded and folders being read, scan running: 1,200 files to index, 100 read, 12 indexed"
    )
    assert (daemon["state"], daemon["reloaded"]) == ("starting", True)
    status = replace(FakeKnowledge().state, index=Freshness(None, 1, watching=True))
    assert "indexed:     never, scan running: 1,200 files" in reports.status_text(status, daemon)
    settled = reports.daemon_status(replace(state, kind="watching"), [], datetime.now(UTC), "", rescans=True)
    assert settled["reloaded"] is False


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (None, "first scan running: looking through the folders"),
        (
            IndexProgress(0, 1200, 0, 9, 0, 0, 3.0, "reading", 65),
            "first scan running: 1,200 files to index, 65 read, 0 indexed",
        ),
        (
            IndexProgress(12, 1200, 3, 9, 0, 8, 60.0, "reading", 100),
            "first scan running: 1,200 files to index, 100 read, 12 indexed",
        ),
    ],
)
def test_a_first_scan_is_told_as_what_it_is(run: IndexProgress | None, told: str) -> None:
    """Not as one change that waits: how many files there are, and how far it is with them."""
    state = WatchState("starting", "not everything has been looked at yet", 0, 1, None, datetime.now(UTC))
    owner = reports.daemon_status(state, ["/notes"], datetime.now(UTC), "", run)
    status = replace(FakeKnowledge().state, index=Freshness(None, 1, watching=True))

    assert reports.daemon_text(owner).startswith("starting, process ")
    assert reports.daemon_text(owner).endswith(f", {told}")
    assert f"indexed:     never, {told}\n" in reports.status_text(status, owner)
    indexed = replace(status, index=Freshness(datetime(2026, 1, 15, tzinfo=UTC), 1, watching=True))
    assert f", {told.removeprefix('first ')}\n" in reports.status_text(indexed, owner)
    assert (owner["run"] or {}).get("indexed") == (run.files if run else None)


def test_what_waits_while_a_watcher_works_is_told_otherwise() -> None:
    """Nobody has to run an index then."""
    told = reports.freshness_notice(Freshness(datetime(2026, 1, 15, tzinfo=UTC), 2, watching=True), hits=1)

    assert told.startswith("at least 2 changes being indexed")


def test_files_that_are_found_by_their_words_only_are_told() -> None:
    """In the status, with what is left to do, and of the daemon with how far it is."""
    lacking = Freshness(datetime(2026, 1, 15, tzinfo=UTC), 0, files=5_000, words_only=790)
    status = replace(FakeKnowledge().state, index=lacking, unembedded=4_812)
    state = WatchState("watching", "", 1, 0, datetime.now(UTC), datetime.now(UTC))
    run = IndexProgress(5_000, 5_000, 9, 9, 1_190, 10, 60.0, "embedding", 5_000, to_embed=48_000, embedded_of=1_200)

    assert (
        "found:       4,210 of 5,000 files by meaning, all by words; 4,812 passages to embed: kb index\n"
        in reports.status_text(status)
    )
    assert "found:" not in reports.status_text(replace(status, index=replace(lacking, words_only=0)))
    daemon = reports.daemon_status(state, ["/notes"], datetime.now(UTC), "", run)
    assert reports.daemon_text(daemon).endswith(", embedding 1,200 of 48,000 passages")


def test_an_interrupted_run_says_what_is_left_to_embed() -> None:
    """And that it is found by its words; files that were not read are told only where there are some."""
    report = IndexReport(added=3, total=30, embedded=9, interrupted=True, unembedded=21, words_only=2)

    assert reports.index_text(report).startswith(
        "3 added; 21 passages of 2 files left to embed, found by their words until then; 0 files unchanged; "
    )


UNREAD = (
    Failure("/notes", "a.png", "images (.png) cannot be read"),
    Failure("/notes", "b.gif", "images of this kind (.gif) cannot be read"),
    Failure("/notes", "c.mp3", "sound files (.mp3) cannot be read"),
    Failure("/notes", "d.bin", "is not text (binary content)"),
)
FAILED = (
    Failure("/notes", "e.pdf", "is encrypted"),
    Failure("/notes", "f.md", "is not text (binary content)"),
    Failure("/notes", "g.png", "cannot be read: it is not an image"),
)


def test_files_that_are_never_read_are_counted() -> None:
    """A picture is no failure: new ones are counted in one line, and listed last among the problems."""
    state = replace(FakeKnowledge().state, failed=3, unread=4, problems=(*UNREAD, *FAILED))
    counted = "images (2), sound files (1), binary files (1)"
    *_, last = reports.failures_text((*UNREAD, *FAILED), STYLE).splitlines()

    assert last == f"not read: {counted}"
    assert f"\nnot read:    {counted}\npassages:" in reports.status_text(state)
    assert "files:       3, 3 could not be indexed (kb status --problems)\n" in reports.status_text(state)
    assert [line.partition(":")[0] for line in reports.problems_text(state, STYLE).splitlines()] == [
        *("e.pdf", "f.md", "g.png"),
        *("a.png", "b.gif", "c.mp3", "d.bin"),
    ]
    assert reports.failures_text((), STYLE) == ""
