"""Links are resolved as Obsidian, Logseq, Org and plain Markdown follow them, over what is there now."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_catalog import memory_catalog

from kb.errors import DocumentError
from kb.formats.text import extract
from kb.records import FileChange, FileStat, FoundFile, Hit, KnownFile, Link, StoredPassage
from kb.search.links import LinkResolver
from kb.testing import MemoryFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.records import ResolvedLink

FOLDER = "/vault"
UUID = "5f1c2d3e-0000-4000-8000-123456789abc"
VAULT = {
    "Index.md": "---\naliases: [Home, The start]\n---\n# Index\n\n## Part one\n\n## Part one\n\nA thought ^t1\n",
    "notes/a.md": "See [[b]].\n",
    "notes/b.md": "# B\n\nText\n",
    "notes/deep/b.md": "# Deep b\n",
    "other/b.md": "# Other b\n",
    "other/Only Here.md": '# Only\n<a id="spot"></a>\n## Named {#mine}\n',
    "files/pic.png": "no text",
    "files/data.csv": "a,b\n",
    "docs/README.md": "# Docs\n",
    "202601151230 Zettel.md": "text\n",
    "journals/2026_01_15.md": "- today\n  id:: " + UUID + "\n",
    "pages/proj___kb.md": "title:: Some title\n\ntext\n",
    "x.org": "* Heading one\n:PROPERTIES:\n:CUSTOM_ID: cid\n:ID: org-id-1\n:END:\n<<spot>>\n",
    "Cafe\u0301.md": "text\n",
}


class Vault:
    """Files as an index run leaves them in the catalog, and links resolved over them."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.catalog = memory_catalog()
        self.files = MemoryFiles()
        self.resolver = LinkResolver(self.catalog, self.files)
        for path, text in files.items():
            self.put(path, text)

    def put(self, path: str, text: str, folder: str = FOLDER, file_id: int | None = None) -> None:
        """Index a file, under the id it had where it is told."""
        self.files.write(folder, path, text.encode())
        data = text.encode()
        reason = ""
        try:
            document = extract(path, data)
        except DocumentError as error:
            document, reason = None, error.message
        id_ = file_id or self.catalog.new_id()
        found = FoundFile(folder, path, FileStat(len(data), 1, 1, 1, 1))
        self.catalog.begin([FileChange(id_, found, sha256(data).digest(), 1, document, (), reason)])
        self.catalog.finish([id_])

    def file(self, path: str) -> KnownFile:
        """A file of the catalog."""
        return next(one for one in self.catalog.files() if one.path == path)

    def out(self, path: str) -> list[ResolvedLink]:
        """What a file links to."""
        return list(self.resolver.links(self.file(path)).outgoing)

    def end(self, source: str, link: str) -> tuple[str | None, int | None, str]:
        """Where the only link of a new file leads: path, line, problem."""
        self.put(source, link)
        (one,) = self.out(source)
        return (one.target.path if one.target else None, one.line, one.problem)


@pytest.mark.parametrize(
    ("source", "link", "path", "line"),
    [
        ("s.md", "[[Index]]", "Index.md", None),
        ("s.md", "[[index.md|label]]", "Index.md", None),
        ("s.md", "[[Home]]", "Index.md", None),
        ("s.md", "[[the START#part one]]", "Index.md", 6),
        ("s.md", "[[Index#^t1]]", "Index.md", 10),
        ("s.md", "[[Index#Index#Part one]]", "Index.md", 6),
        ("notes/s.md", "[[b]]", "notes/b.md", None),
        ("other/s.md", "[[b]]", "other/b.md", None),
        ("s.md", "[[deep/b]]", "notes/deep/b.md", None),
        ("s.md", "[[b]]", "notes/b.md", None),
        ("s.md", "[[other/b]]", "other/b.md", None),
        ("s.md", "[[Only Here]]", "other/Only Here.md", None),
        ("s.md", "![[pic.png|300]]", "files/pic.png", None),
        ("s.md", "![[data.csv]]", "files/data.csv", None),
        ("s.md", "[[202601151230]]", "202601151230 Zettel.md", None),
        ("s.md", "[[2026-01-15]] ", "journals/2026_01_15.md", None),
        ("s.md", "[[Jan 15th, 2026]]", "journals/2026_01_15.md", None),
        ("s.md", f"(({UUID}))", "journals/2026_01_15.md", 2),
        ("s.md", "[[proj/kb]]", "pages/proj___kb.md", None),
        ("s.md", "[[Some title]]", "pages/proj___kb.md", None),
        ("s.md", "[[Caf\u00e9]]", "Cafe\u0301.md", None),
        ("notes/s.md", "[x](b.md)", "notes/b.md", None),
        ("notes/s.md", "[x](../other/Only%20Here.md#only)", "other/Only Here.md", 1),
        ("s.md", "[x](other/Only%20Here.md#spot)", "other/Only Here.md", 2),
        ("s.md", "[x](other/Only%20Here.md#mine)", "other/Only Here.md", 3),
        ("notes/s.md", "[x](/Index.md#part-one-1)", "Index.md", 8),
        ("s.md", "[x](Index.md#L5)", "Index.md", 5),
        ("s.md", "[x](docs/)", "docs/README.md", None),
        ("s.md", "[x](docs)", "docs/README.md", None),
        ("notes/s.md", "![x](../files/pic.png)", "files/pic.png", None),
        ("s.md", "[x](Only%20Here.md)", "other/Only Here.md", None),
        ("s.md", "# Own\n[[#own]]", "s.md", 1),
        ("s.org", "[[file:x.org::*Heading one]]", "x.org", 1),
        ("s.org", "[[file:x.org::#cid][d]]", "x.org", 3),
        ("s.org", "[[file:x.org::spot][d]]", "x.org", 6),
        ("s.org", "[[file:x.org::4][d]]", "x.org", 4),
        ("s.org", "[[id:org-id-1][d]]", "x.org", 4),
        ("s.org", "[[./files/pic.png]]", "files/pic.png", None),
        ("notes/s.org", "[[file:../Index.md][d]]", "Index.md", None),
    ],
)
def test_links_lead_where_their_program_leads(source: str, link: str, path: str, line: int | None) -> None:
    """Name, path, alias, id, heading and block, each in its own way of writing."""
    assert Vault(VAULT).end(source, link) == (path, line, "")


@pytest.mark.parametrize(
    ("link", "path", "problem"),
    [
        ("[[Missing]]", None, "no such file"),
        ("[[nowhere/b]]", None, "no such file"),
        ("[x](missing.md)", None, "no such file"),
        ("[x](./b.md)", None, "no such file"),
        ("[x](../../../etc/passwd)", None, "no such file"),
        ("[[Index#Nope]]", "Index.md", "the file has no such heading"),
        ("[[Index#^nope]]", "Index.md", "the file has no such block"),
        ("[x](Index.md#part-one-2)", "Index.md", "the file has no such heading"),
        (f"(({UUID[:-1]}0))", None, "no block or heading has this id"),
    ],
)
def test_broken_links_are_named(link: str, path: str | None, problem: str) -> None:
    """What is missing is said: the file, or the place in it; both ways to ask give the same."""
    vault = Vault(VAULT)

    assert vault.end("s.md", link) == (path, None, problem)
    assert [(one.source.path, one.problem) for one in vault.resolver.broken()] == [("s.md", problem)]


def test_a_file_outside_the_index_is_not_broken() -> None:
    """What is on the disk is there, indexed or not, and so is a folder without a page of its own."""
    vault = Vault({"sub/deep/a.md": "text"})
    vault.files.write(FOLDER, "LICENSE.bin", b"x")

    assert vault.end("s.md", "[x](LICENSE.bin)") == (None, None, "")
    assert vault.end("sub/s.md", "[x](./deep/)") == (None, None, "")
    assert vault.end("sub/t.md", "[x](../sub)") == (None, None, "")
    assert vault.end("sub/u.md", "[x](other)") == (None, None, "no such file")


def test_backlinks_have_their_lines_and_follow_renames() -> None:
    """What links to a file is found by every name of it; a rename or a nearer twin changes the answer at once."""
    vault = Vault(
        {
            "a.md": "\n[[target]] and [x](sub/target.md#t)\n",
            "b.md": "[[Alias]] ![[sub/target]]\n",
            "c.md": "[[other]] [[target2]]\n",
            "sub/target.md": "---\naliases: Alias\n---\n# T\n[[target]]\n",
        }
    )

    def incoming(path: str) -> list[tuple[str, int, str]]:
        links = vault.resolver.links(vault.file(path)).incoming
        return [(one.source.path, one.link.line, one.link.target) for one in links]

    assert incoming("sub/target.md") == [
        ("a.md", 2, "target"),
        ("a.md", 2, "sub/target.md#t"),
        ("b.md", 1, "Alias"),
        ("b.md", 1, "sub/target"),
    ]
    vault.put("target.md", "nearer to a.md")
    assert incoming("target.md") == [("a.md", 2, "target"), ("sub/target.md", 5, "target")]
    vault.put("sub/renamed.md", "# T\n", file_id=vault.file("sub/target.md").id)
    assert incoming("sub/renamed.md") == []
    assert [one.problem for one in vault.out("b.md")] == ["no such file"] * 2


def test_links_between_folders() -> None:
    """A relative path may come out in another watched folder; a name is looked for in its own folder only."""
    vault = Vault({"a.md": "[x](../second/b.md) [[b]]\n"})
    vault.put("b.md", "text", folder="/second")

    assert [(one.target and one.target.folder, one.problem) for one in vault.out("a.md")] == [
        ("/second", ""),
        (None, "no such file"),
    ]


def hit(file: KnownFile) -> Hit:
    """A hit in a file."""
    return Hit(1, StoredPassage("p", file, "text", (), 1, 1, None, b"", 0), 0.5, 1.0)


def test_a_hit_names_the_notes_that_embed_its_file() -> None:
    """An attachment comes with its notes, each once; a plain link, and a file of the same name, are no embedding."""
    vault = Vault(
        {
            "a.md": "![[files/data.csv]] ![x](files/data.csv)\n",
            "Board.canvas": '{"nodes":[{"id":"1","type":"file","file":"files/data.csv"}]}',
            "c.md": "[[data.csv]]\n",
            "far/d.md": "![[data.csv]]\n",
            "far/data.csv": "other\n",
            "files/data.csv": "a,b\n",
        }
    )
    hits = [hit(vault.file("files/data.csv")), hit(vault.file("far/data.csv")), hit(vault.file("c.md"))]

    found = vault.resolver.with_embedding(hits)

    assert [[note.path for note in one.embedded_in] for one in found] == [["a.md", "Board.canvas"], ["far/d.md"], []]
    assert [replace(one, embedded_in=()) for one in found] == hits


NAMES = st.sampled_from(["a", "b", "A", "sub/a", "sub/b", "sub/deep/a", "x y", "é"])


@given(paths=st.sets(NAMES, min_size=1), links=st.lists(st.tuples(NAMES, NAMES), max_size=8))
def test_both_directions_tell_the_same(paths: set[str], links: list[tuple[str, str]]) -> None:
    """A link comes in at a file exactly where it goes out to it, and each goes out somewhere or is broken."""
    texts = {f"{path}.md": "".join(f"[[{target}]]\n" for source, target in links if source == path) for path in paths}
    vault = Vault(texts)
    out = {
        (one.source.path, one.link, one.target.path if one.target else "") for path in texts for one in vault.out(path)
    }
    into = {
        (one.source.path, one.link, path) for path in texts for one in vault.resolver.links(vault.file(path)).incoming
    }

    assert {one for one in out if one[2] not in {"", one[0]}} == into
    assert {(source, link) for source, link, target in out if not target} == {
        (one.source.path, one.link) for one in vault.resolver.broken()
    }
    assert all(target or link.path not in {path.removesuffix(".md") for path in texts} for _, link, target in out)


def test_links_of_strange_names_are_kept() -> None:
    """Undecodable bytes in a name are letters as any others."""
    vault = Vault({"n\udcff.md": "text\n"})
    vault.put("s.md", "x")
    document = replace(extract("s.md", b"x"), links=(Link("n\udcff", 1, "wiki"),))
    stat = FileStat(1, 1, 1, 1, 1)
    vault.catalog.begin([FileChange(vault.file("s.md").id, FoundFile(FOLDER, "s.md", stat), b"", 1, document)])

    assert [one.link.target for one in vault.out("s.md")] == ["n\udcff"]


CHAIN = {
    "hub.md": "[[near]] [[both]] [[gone]] [[hub]]\n",
    "near.md": "[[far]] [[both]]\n",
    "far.md": "[[farthest]]\n",
    "farthest.md": "# The end\n",
    "both.md": "[[hub]]\n",
    "from.md": "[[hub]]\n",
    "from far.md": "[[from]]\n",
    "alone.md": "# Alone\n",
}


def test_files_around_one() -> None:
    """Files are found one and two links away, each once: what a file leads to counts before what leads to it."""
    vault = Vault(CHAIN)
    files = {file.path: file for file in vault.catalog.files()}
    graph = vault.resolver.around(files["hub.md"], 2, 10)
    ids = {file.id: path for path, file in files.items()}

    assert {(one.file.path, one.step, ids[one.by]) for one in graph.linked} == {
        ("near.md", 1, "hub.md"),
        ("both.md", 1, "hub.md"),
        ("from.md", -1, "hub.md"),
        ("far.md", 2, "near.md"),
        ("from far.md", -2, "from.md"),
    }
    assert {(ids[source], ids[target]) for source, target in graph.links} == {
        ("hub.md", "near.md"),
        ("hub.md", "both.md"),
        ("both.md", "hub.md"),
        ("from.md", "hub.md"),
        ("near.md", "far.md"),
        ("near.md", "both.md"),
        ("from far.md", "from.md"),
    }
    assert graph.left_out == {}


def test_files_around_one_are_bounded() -> None:
    """Of very many files, some of each step are kept, and how many are left out is said."""
    vault = Vault(CHAIN | {f"many/{n:02}.md": "[[hub]]\n" for n in range(20)})
    hub = next(file for file in vault.catalog.files() if file.path == "hub.md")
    graph = vault.resolver.around(hub, 1, 5)

    assert [one.file.path for one in graph.linked if one.step < 0] == [
        "from.md",
        "many/00.md",
        "many/01.md",
        "many/02.md",
        "many/03.md",
    ]
    assert graph.left_out == {-1: 16}
    kept = {hub.id, *(one.file.id for one in graph.linked)}
    assert all(kept.issuperset(link) for link in graph.links)
