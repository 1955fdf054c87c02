"""Headers for a Chroma server are read from the environment or a private file, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import ChromaServerError
from kb.store.headers import VARIABLE, headers_from
from kb.store.server import ServerAddress

OPEN = Path("/proc/self/fd")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of headers, of the user alone."""
    made = tmp_path / "headers"
    made.write_text("# for the proxy\n\nx-chroma-token: ck-secret \nAuthorization:Bearer abc def\n", "ascii")
    made.chmod(0o600)
    return made


def test_headers_of_a_file(file: Path) -> None:
    """One a line; blank lines and comments are left out."""
    assert headers_from({}, str(file)) == {"x-chroma-token": "ck-secret", "Authorization": "Bearer abc def"}


def test_the_environment_comes_before_the_file(file: Path) -> None:
    """So that a secret need not be on the disk."""
    assert headers_from({VARIABLE: "x-chroma-token: other"}, str(file)) == {"x-chroma-token": "other"}


def test_no_headers_are_none() -> None:
    """A server on this machine wants none."""
    assert headers_from({}, "") == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    """With the command that mends it."""
    file.chmod(mode)

    with pytest.raises(ChromaServerError, match=rf"mode {mode:o}.*chmod 600"):
        headers_from({}, str(file))


@pytest.mark.parametrize(
    "text", ["ck-secret", "x token: secret", "x-token: a\x7fb", ": secret", "x-token:", "x-token: secr\u00e9t"]
)
def test_what_is_no_header_is_refused_without_showing_it(text: str) -> None:
    """A token alone, or a value that would end the line of a request."""
    with pytest.raises(ChromaServerError, match=r"line 1 of \$KB_CHROMA_HEADERS is not a header") as caught:
        headers_from({VARIABLE: text}, "")

    assert "secr" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named_with_its_remedy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, who runs some tests, may read everything."""

    def refuse(path: str, *_: object, **_named: object) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.open", refuse)

    with pytest.raises(ChromaServerError, match="may not be read by you") as caught:
        headers_from({}, str(file))

    assert caught.value.remedy.endswith(f"chmod 600 {file}")


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "binary"])
def test_a_file_that_holds_none_is_refused(tmp_path: Path, what: str) -> None:
    """Rather than sent as if nothing were wanted."""
    place = tmp_path / "place"
    if what == "folder":
        place.mkdir(mode=0o700)
    elif what != "missing":
        place.write_bytes(b"" if what == "empty" else b"x-token: \xff")
        place.chmod(0o600)

    with pytest.raises(ChromaServerError, match="place"):
        headers_from({}, str(place))


def test_a_file_that_is_too_long_is_refused(file: Path) -> None:
    """Its last header would be cut off, and half of a token sent."""
    file.write_text("x-chroma-token: ck-secret\n".ljust(65_536, "#"), "ascii")
    assert headers_from({}, str(file)) == {"x-chroma-token": "ck-secret"}
    with file.open("a", encoding="ascii") as more:
        more.write("\nx-late: cut")

    with pytest.raises(ChromaServerError, match="is longer than 65,536 characters"):
        headers_from({}, str(file))


def test_an_address_does_not_show_its_headers() -> None:
    """As in a traceback."""
    address = ServerAddress("https://host", "t", "d", "c", 1.0, lambda: {"x-chroma-token": "secret"})

    assert "secret" not in repr(address)


@pytest.mark.skipif(not OPEN.is_dir(), reason="counts open files")
def test_a_refused_file_does_not_stay_open(tmp_path: Path) -> None:
    """A daemon reads the headers with each new connection."""
    before = len(list(OPEN.iterdir()))

    for _ in range(3):
        with pytest.raises(ChromaServerError, match="is not a file"):
            headers_from({}, str(tmp_path))

    assert len(list(OPEN.iterdir())) == before
