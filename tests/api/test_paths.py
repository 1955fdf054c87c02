"""Nothing outside the folders, and nothing that they exclude, can be read by any spelling of a path."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from clean_environ import clean_environ
from served import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Client, Served

pytest_plugins = ["served_notes"]


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A program that asks at a port of these tests, which have no other state than its token."""
    with pytest.MonkeyPatch.context() as patch:
        clean_environ(patch, tmp_path_factory.mktemp("homes") / "of the port")
        with served.at_port() as client:
            yield client


SPELLINGS = [
    "../outside.md",
    "tea/../../outside.md",
    "./../outside.md",
    "..//outside.md",
    "..\\outside.md",
    "..%2foutside.md",
    "%2e%2e/outside.md",
    "....//outside.md",
    "{root}/outside.md",
    "{folder}/../outside.md",
    "{folder}/tea/../../outside.md",
    "/{folder}/../outside.md",
    "file://{root}/outside.md",
    "file:///etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "../../../../../../../../etc/passwd",
    "~/.profile",
    "~root/.profile",
    "$HOME/.profile",
    "link.md",
    "{folder}/link.md",
    "LINK.MD",
    "linked/outside.md",
    "linked/notes/backup.md",
    "private/diary.md",
    "{folder}/private/diary.md",
    "tea/../private/diary.md",
    "PRIVATE/DIARY.MD",
    "diary",
    "Diary",
    "diary.md",
    ".kbignore",
    "{folder}/.kbignore",
    "backup.md\x00.png",
    "backup.md/",
    "backup.md/..",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "\\\\server\\share\\file.md",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "/dev/stdin",
    "/dev/zero",
    "kb://../outside.md",
    "..",
    ".",
    "/",
    "",
    " ",
    "*",
    "**/*.md",
    "a" * 5000,
    "/".join(["a"] * 5000),
    "\udcff.md",
    "\u202e../outside.md",
    "\uff0e\uff0e/outside.md",
    "../outside.md",
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda one: ascii(one)[:30])
def test_no_spelling_leads_out(served: Served, client: Client, spelling: str) -> None:
    """Neither by the operations that read nor by those that search; and none is an error of kb."""
    name = spelling.format(root=served.folder.parent, folder=served.folder)
    escaped = quote(name, safe="", errors="surrogateescape")
    answers = [client.get(f"/v1/file?path={escaped}"), client.get(f"/v1/links?path={escaped}")]
    answers += [client.ask("/v1/similar", like=name), client.ask("/v1/search", question="secret word", cwd=name)]
    answers += [client.ask("/v1/search", question=f"path:{name} secret word")]
    answers += [client.ask("/v1/search", question="secret word", weak=True, filters={"paths": [name]})]
    answers += [client.get(f"/v1/files?path={escaped}"), client.get(f"/v1/passage?id={escaped}")]

    assert answers[0].status_code in {400, 404, 409}, answers[0].text
    for answer in answers:
        assert answer.status_code < 500, answer.text
        assert not any(word in answer.text for word in ("xyzzy", "plugh", OUTSIDE, "root:x:", "private/\\n")), (
            answer.text
        )


@pytest.mark.parametrize(
    "path", ["/v1/file/../../etc/passwd", "/v1/%2e%2e/run", "/v1//status", "//v1/status", "/v1/..%2frun"]
)
def test_addresses_are_taken_as_they_are(client: Client, path: str) -> None:
    """No part of an address is a path on the disk."""
    answer = client.build_request("GET", "/")
    answer.url = client.base_url.copy_with(raw_path=path.encode())

    assert client.send(answer).status_code == 404


def test_a_file_that_becomes_excluded_is_no_longer_read(served: Served, client: Client) -> None:
    """At once, though the index has it until its next run."""
    ignore = served.folder / ".kbignore"
    before = ignore.read_text("utf-8")
    try:
        ignore.write_text(f"{before}tea/green.md\n", "utf-8")
        assert client.get("/v1/file", params={"path": "tea/green.md"}).status_code == 404
    finally:
        ignore.write_text(before, "utf-8")
    assert client.get("/v1/file", params={"path": "tea/green.md"}).status_code == 200


def test_a_file_that_becomes_a_link_is_not_followed(served: Served, client: Client) -> None:
    """Whoever may write into the folder must not read all that the daemon can."""
    file = served.folder / "tea" / "names.md"
    before = file.read_bytes()
    file.unlink()
    try:
        file.symlink_to(served.folder.parent / "outside.md")
        answer = client.get("/v1/file", params={"path": "tea/names.md"})
        assert answer.status_code == 404
        assert "plugh" not in answer.text
    finally:
        file.unlink()
        file.write_bytes(before)
