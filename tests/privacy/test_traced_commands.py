"""Nothing leaves the machine: every system call of kb's commands, of what they start, and of programs that import kb.

No socket is made but Unix ones, and none is connected to but kb's own; nothing is written but where docs/privacy.md
says. Fetching is allowed in all of it (``embed.offline`` is off), since the model that is asked for is here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import made_documents as made
import pytest
import strace
from seed_example import SEED, SEED_QUESTION
from syscalls import is_below, ways_out, written

from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.embedding.spec import Located

    MakeWorld = Callable[..., "World"]

ROOT = Path(__file__).resolve().parents[2]
# What the system itself gives to everyone; OpenMP's note that it is loaded is among it.
OF_THE_SYSTEM = ("/dev", "/proc")
# Below the home of the user, as docs/privacy.md has it; the models where no other place is named.
PLACES = ("store", ".local/share/kb", ".local/state/kb", "notes", "tmp")
# Where what libraries keep would show: nothing of it is kb's.
FOREIGN = ("Microsoft", "huggingface", "chroma", "torch", "xberg", "fasttext")
PAGE = "<html><head><title>Ponds</title></head><body><h1>Ponds</h1><p>Swans nest at the pond.</p></body></html>"
MAIL = b"From: Ada <ada@example.org>\nSubject: Boiler\nDate: Wed, 31 Jan 2024 09:30:00 +0000\n\nThe boiler is old.\n"
SHEET_ROW = "<table:table table:name='Nests'><table:table-row>{}</table:table-row></table:table>"
CELL = "<table:table-cell office:value-type='string'><text:p>heron</text:p></table:table-cell>"
SLIDE = "<draw:page><draw:frame><draw:text-box><text:p>It is late.</text:p></draw:text-box></draw:frame></draw:page>"
# Those that no program at hand makes: they are read by the same libraries as the newer forms.
OLD = {".doc", ".ppt", ".xls", ".xlsb", ".msg"}


def documents() -> dict[str, bytes]:
    """A small document in every format that can be made here, by suffix."""
    word = made.docx([("Heading1", "Tools"), ("", "ChromaDB keeps vectors on the disk.")], title="Handbook")
    sheet = made.xlsx({"Ponds": {1: ["Species", "Nests"], 2: ["mallard duck", 12]}})
    talk = made.pptx([["Welcome"], ["The satellite is launched in autumn."]])
    text = made.opendocument("text", "<text:h text:outline-level='1'>Trip</text:h><text:p>Pack a tent.</text:p>")
    slides = made.opendocument("presentation", SLIDE)
    nests = made.opendocument("spreadsheet", SHEET_ROW.format(CELL))
    page = PAGE.encode()
    return {
        ".pdf": made.pdf([["The budget was approved in March."]]),
        **dict.fromkeys((".docx", ".docm", ".dotx"), word),
        **dict.fromkeys((".xlsx", ".xlsm"), sheet),
        **dict.fromkeys((".pptx", ".pptm", ".ppsx"), talk),
        **dict.fromkeys((".odt", ".ott"), text),
        **dict.fromkeys((".odp", ".otp"), slides),
        **dict.fromkeys((".ods", ".ots"), nests),
        **dict.fromkeys((".html", ".htm", ".xhtml"), page),
        ".rtf": rb"{\rtf1\ansi {\b Rent} is due on the first.}",
        ".epub": made.epub([("One", "A whale is seen.")]),
        ".eml": MAIL,
        ".emlx": b"%d\n%b" % (len(MAIL), MAIL),
        **dict.fromkeys((".mbox", ".mbx"), b"From ada@example.org Wed Jan 31 09:30:00 2024\n" + MAIL),
        **dict.fromkeys((".mhtml", ".mht"), SAVED_PAGE),
        **dict.fromkeys((".ics", ".ical", ".vcs"), CALENDAR),
        **dict.fromkeys((".vcf", ".vcard"), b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Byron\r\nEND:VCARD\r\n"),
        ".enex": b"<?xml version='1.0'?><en-export><note><title>Keys</title><content><![CDATA[<en-note>The key is with "
        b"Ana.</en-note>]]></content></note></en-export>",
        ".fb2": b"<?xml version='1.0'?><FictionBook><body><section><p>A whale.</p></section></body></FictionBook>",
        **dict.fromkeys((".rss", ".atom"), FEED),
        **dict.fromkeys((".nxml", ".dbk", ".docbook", ".tei"), ARTICLE),
        ".opml": b"<opml><body><outline text='Boat'><outline text='Paint the keel'/></outline></body></opml>",
        ".ipynb": made.notebook(("markdown", "# Model"), ("code", "print(1)", "1\n")),
    }


FEED = (
    b"<rss><channel><title>Harbour</title><item><title>Ferry</title><description>&lt;p&gt;It leaves at nine.&lt;/p&gt;"
    b"</description></item></channel></rss>"
)
ARTICLE = b"<article><title>Mills</title><section><title>Stones</title><para>Granite lasts.</para></section></article>"
SAVED_PAGE = (
    b"From: <Saved by a browser>\r\nSubject: Rent\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/related; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n'
    b"<html><title>Rent</title><p>Rent is due on the first.</p></html>\r\n--b--\r\n"
)
CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nDTSTART:20240131T093000Z\r\nSUMMARY:Boiler service\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)


class World:
    """A home of its own with notes, documents, code and a configuration, and kb's commands under strace in it."""

    def __init__(self, home: Path, models: Path | None, *, formats: bool) -> None:
        self.home = home
        # A path that is short enough for a socket, whatever the folder of the tests is called.
        self.run_folder = Path(tempfile.mkdtemp(prefix="kb-run-"))
        self.notes = home / "notes"
        self.notes.mkdir(parents=True)
        (home / "tmp").mkdir()
        for name, text in SEED.items():
            (self.notes / name).write_text(f"{text}\n", "utf-8")
        (self.notes / "store.py").write_text("def keep():\n    return 1\n")
        for suffix, data in (documents() if formats else {}).items():
            if REGISTRY.by_suffix[suffix].available:
                (self.notes / f"document-{suffix[1:]}{suffix}").write_bytes(data)
        self.config = home / ".config" / "kb" / "config.toml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(
            f'[folders]\npaths = ["{self.notes}"]\n[store]\npath = "{home / "store"}"\n'
            '[embed]\nmodel = "all-MiniLM-L6-v2"\n'
        )
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ},
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "XDG_RUNTIME_DIR": str(self.run_folder),
            # Threads that wait for one another take minutes on a machine that is busy.
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            **({"KB_MODELS": str(models)} if models else {}),
        }

    def start(self, *arguments: str) -> strace.Tracing:
        """Begin to run Python with these arguments under strace."""
        return strace.Tracing([sys.executable, *arguments], self.environ, self.home)

    def checked(self, done: strace.Traced, code: int = 0) -> str:
        """What a program printed, once nothing that it did leads outside and it wrote only where it should."""
        assert ways_out(done.calls, [str(self.run_folder)]) == []
        allowed = [*(str(self.home / place) for place in PLACES), str(self.run_folder), *OF_THE_SYSTEM]
        # Python's own compiled modules aside.
        paths = [path for path in written(done.calls) if path.startswith("/") and "/__pycache__" not in path]
        # The folders on the way to such a place may have to be made first.
        elsewhere = [
            path for path in paths if not any(is_below(path, [one]) or is_below(one, [path]) for one in allowed)
        ]
        assert elsewhere == [], f"{elsewhere} {done.err}"
        assert done.calls, "nothing was traced"
        assert done.code == code, done.err
        left = [path for path in self.home.rglob("*") if any(name in path.parts for name in FOREIGN)]
        assert left == []
        return done.out

    def python(self, code: str) -> str:
        """What Python code prints."""
        return self.checked(self.start("-c", code).done())

    def kb(self, *arguments: str, code: int = 0) -> str:
        """What a command of kb prints."""
        return self.checked(self.start("-m", "kb", *arguments).done(), code)

    def watched(self, seconds: float, least: int = 1) -> tuple[int, int]:
        """Let ``kb watch`` run for a while, and for some questions at least, with changes.

        Returns:
            How many questions were answered, and asked.
        """
        watch = self.start("-m", "kb", "watch")
        asked = found = 0
        try:
            until = time.monotonic() + 120
            while not list(self.run_folder.rglob("*.sock")) and watch.process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.1)
            self.kb("sync")
            told = json.loads(self.kb("status", "--privacy", "--json"))
            assert told["daemon"]
            assert [row for row in told["rows"] if not row["ok"]] == []
            until = time.monotonic() + seconds
            while time.monotonic() < until or asked < least:
                asked += 1
                (self.notes / f"new-{asked % 5}.md").write_text(f"# News {asked}\n\nThe ferry leaves at {asked}.\n")
                found += "chromadb" in self.kb("search", f"{SEED_QUESTION} {asked}")
                time.sleep(min(5.0, seconds / 4))
            self.kb("watch", "--stop")
        finally:
            done = watch.done(240)
        self.checked(done)
        return found, asked


@pytest.fixture
def make_world(outside_dev: Path) -> Iterator[MakeWorld]:
    """Makes a home, and removes its folder for sockets afterwards."""
    worlds: list[World] = []

    def make(models: Path | None = None, *, formats: bool = False) -> World:
        worlds.append(World(outside_dev / "home", models, formats=formats))
        return worlds[-1]

    yield make
    for world in worlds:
        shutil.rmtree(world.run_folder)


traceable = pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not() or "it can be traced")


@traceable
@pytest.mark.slow
def test_indexing_watching_and_asking(make_world: MakeWorld, minilm: Located, forms: Path) -> None:
    """The commands of every day, in a few seconds, with the model in ONNX Runtime."""
    world = make_world(forms)

    world.kb("index")
    hits = world.kb("search", SEED_QUESTION)
    found, asked = world.watched(4)

    assert minilm.name in world.kb("status", "--json")
    assert "chromadb.md" in hits
    assert found == asked


@traceable
@pytest.mark.slow
def test_what_would_be_sent_is_seen(make_world: MakeWorld, forms: Path) -> None:
    """The same look finds what ONNX Runtime writes where nobody tells it to be silent."""
    world = make_world(forms)

    with pytest.raises(AssertionError, match="Microsoft"):
        world.python("import onnxruntime")


@pytest.mark.private
@pytest.mark.timeout(900)
def test_traced_as_it_has_to_be() -> None:
    """Where system calls cannot be traced, nothing is proved, and that is a failure."""
    assert strace.why_not() == ""


@pytest.mark.private
@pytest.mark.timeout(900)
def test_every_command_and_every_format(make_world: MakeWorld) -> None:
    """From an empty home: documents of all formats, torch, the export, ONNX Runtime, verification and measures."""
    world = make_world(formats=True)
    made_here = set(documents())
    queries, judged = world.home / "queries.tsv", world.home / "qrels.tsv"
    queries.write_text(f"1\t{SEED_QUESTION}\n")
    judged.write_text("query-id\tcorpus-id\tscore\n1\tchromadb.md\t1\n")

    index = world.kb("index")
    files = json.loads(world.kb("list", "--json"))["files"]
    world.kb("model", "export", "all-MiniLM-L6-v2")
    world.kb("model", "verify", "all-MiniLM-L6-v2")
    hits = world.kb("search", SEED_QUESTION)
    world.kb("eval", str(queries), str(judged))
    world.kb("eval", "--self", "--questions", "5")
    world.kb("check")
    world.kb("similar", str(world.notes / "chromadb.md"))
    world.kb("note", "The key is under the mat.")
    world.kb("rebuild")

    assert "failed" not in index
    assert made_here >= REGISTRY.documents - OLD
    assert {Path(file["path"]).suffix for file in files} >= {
        one for one in made_here if REGISTRY.by_suffix[one].available
    }
    assert [file["path"] for file in files if file["state"] != "done"] == []
    assert "chromadb.md" in hits


@pytest.mark.private
@pytest.mark.timeout(900)
def test_watching_for_two_minutes(make_world: MakeWorld, forms: Path) -> None:
    """What is sent in the background is sent late: two minutes of ``kb watch``, with changes and questions."""
    world = make_world(forms, formats=True)

    found, asked = world.watched(120, least=10)

    assert found == asked


@pytest.mark.private
@pytest.mark.timeout(900)
def test_programs_that_import_kb(make_world: MakeWorld, forms: Path) -> None:
    """The Python API, ChromaDB's own client asked in words, and ONNX Runtime imported by the program itself."""
    world = make_world(forms)
    store = world.home / "store"

    hits = world.python(
        "import kb, onnxruntime, chromadb\n"
        "with kb.KnowledgeBase.open() as base:\n"
        f"    base.index(); print(base.search({SEED_QUESTION!r}).hits[0].passage.file.path)\n"
    )
    found = world.python(
        "import chromadb, kb, glob\n"
        f"client = chromadb.PersistentClient(glob.glob('{store}/generation-*')[0])\n"
        f"found = client.get_collection('passages').query(query_texts=[{SEED_QUESTION!r}], n_results=1)\n"
        "print(found['metadatas'][0][0]['path'])\n"
    )

    assert hits == found == "chromadb.md\n"


@pytest.mark.private
@pytest.mark.timeout(900)
def test_tests_and_benchmarks(make_world: MakeWorld) -> None:
    """A process of the tests and one of the benchmarks, with the libraries that send loaded."""
    world = make_world()
    libraries = "import onnxruntime, transformers, sentence_transformers, chromadb"
    test = world.home / "tmp" / "test_made.py"
    test.write_text(f"{libraries}\ndef test_made(minilm):\n    assert minilm.bundled\n")

    said = world.checked(
        # The plugin of schemathesis, which tests random requests, looks for IPv6 by opening a socket.
        world.start(
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "conftest", str(test))
        ).done()
    )
    world.python(f"import benchmarks.child\n{libraries}")

    assert "1 passed" in said
