"""The token of programs: one file of the user alone."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from kb.api.token import TokenFile
from kb.errors import KbError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    """Where a token is made in these tests."""
    return TokenFile(tmp_path / "state" / "http" / "token")


def test_token_is_made_once_for_the_user_alone(file: TokenFile) -> None:
    """0600 in a folder of 0700; the second call reads the first one's."""
    token = file.made()

    assert len(token) == 43
    assert file.made() == token == file.read()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.path.parent.iterdir()] == ["token"]


def test_it_lies_in_the_state_folder(tmp_path: Path) -> None:
    """Beside the records of trust."""
    assert TokenFile.of({"XDG_STATE_HOME": str(tmp_path)}).path == tmp_path / "kb" / "http" / "token"


def test_a_new_token_replaces_the_former_one(file: TokenFile) -> None:
    """A process that has read it notices."""
    former = file.made()
    reader = TokenFile(file.path)
    assert reader.current() == former

    assert file.renewed() != former
    assert reader.current() == file.read() != former


def test_an_unchanged_file_is_read_once(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request asks for the token."""
    token = file.made()
    assert file.current() == token
    monkeypatch.setattr(file, "read", lambda: pytest.fail("read again"))

    assert file.current() == token


def test_a_deleted_token_admits_nobody(file: TokenFile) -> None:
    """Also where it was read before."""
    file.made()
    file.current()
    file.path.unlink()

    with pytest.raises(KbError, match="cannot be read"):
        file.current()


def test_a_token_that_others_can_read_is_refused(file: TokenFile) -> None:
    """At once, also where it was read before; a new one is private again."""
    file.made()
    file.current()
    file.path.chmod(0o640)

    with pytest.raises(KbError, match=r"others can read the token .*mode 640"):
        file.current()
    assert file.renewed() == file.current()


def test_a_folder_that_others_can_enter_is_refused(file: TokenFile) -> None:
    """They could put another file there."""
    file.made()
    file.path.parent.chmod(0o755)

    with pytest.raises(KbError, match="not a folder of yours alone") as caught:
        file.read()
    assert "chmod 700" in caught.value.remedy
    with pytest.raises(KbError, match="not a folder of yours alone"):
        file.renewed()


def test_a_link_is_not_followed(file: TokenFile, tmp_path: Path) -> None:
    """Neither one in place of the file nor one in place of its folder."""
    token = file.made()
    elsewhere = tmp_path / "elsewhere"
    file.path.rename(elsewhere)
    file.path.symlink_to(elsewhere)
    with pytest.raises(KbError, match="is a link"):
        file.made()
    assert file.renewed() != token
    assert elsewhere.read_text("ascii").strip() == token

    file.path.parent.rename(tmp_path / "moved")
    file.path.parent.symlink_to(tmp_path / "moved")
    with pytest.raises(KbError, match="not a folder of yours alone"):
        file.read()


def test_a_named_pipe_keeps_nobody_waiting(file: TokenFile) -> None:
    """It is no file."""
    file.made()
    file.path.unlink()
    os.mkfifo(file.path, 0o600)

    with pytest.raises(KbError, match="not a file of yours"):
        file.read()


@pytest.mark.parametrize("text", ["", "secret", "a" * 44, "ä" * 43, "a" * 42 + " "])
def test_another_text_is_no_token(file: TokenFile, text: str) -> None:
    """One that somebody made up may be guessed."""
    file.made()
    file.path.write_text(text, "utf-8")

    with pytest.raises(KbError, match="holds no token"):
        file.read()


def test_no_token_says_how_to_make_one(file: TokenFile) -> None:
    """The remedy is the command."""
    with pytest.raises(KbError) as caught:
        file.read()
    assert caught.value.remedy == "Make one: kb token"


def test_two_that_make_it_at_once_get_the_same(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one counts."""
    other = TokenFile(file.path)
    monkeypatch.setattr(os.path, "lexists", lambda _: False)

    assert file.made() == other.made()
