"""Paths that begin with the home of a user that this machine does not have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kb.cli.main import run
from kb.embedding import cross_encoder
from kb.embedding.locate import locate
from kb.errors import UnknownHome
from kb.location import expanded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest_plugins = ["command_line"]
NOWHERE = "~nobody-of-that-name/x"


def test_the_error_says_who_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of kb's own, and still the one of pathlib."""
    monkeypatch.setattr("os.path.expanduser", lambda path: path)

    with pytest.raises(UnknownHome, match=r"^~a/b: there is no user a\. ") as caught:
        expanded("~a/b")
    assert isinstance(caught.value, RuntimeError)
    with pytest.raises(UnknownHome, match=r"^~/b: this user has no home folder\. "):
        expanded("~/b")


@pytest.mark.parametrize("asks", [locate, cross_encoder.locate_reranker, cross_encoder.is_here])
def test_every_model(asks: Callable[[str], object]) -> None:
    """A model that embeds, and one that only reranks."""
    with pytest.raises(UnknownHome):
        asks(NOWHERE)


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        (["model", "use", NOWHERE], {}),
        (["model", "fetch", NOWHERE], {}),
        (["model", "remove", NOWHERE], {}),
        (["-s", f"embed.model={NOWHERE}", "index"], {}),
        (["-s", f"folders.paths={json.dumps([NOWHERE])}", "list"], {}),
        (["-s", "store.chroma=https://localhost:1", "-s", f"store.headers_file={NOWHERE}", "list"], {}),
        (["--store", NOWHERE, "list"], {}),
        (["--config", NOWHERE, "list"], {}),
        (["model", "list"], {"KB_MODELS": NOWHERE}),
    ],
)
def test_every_path_that_is_given(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    args: list[str],
    environ: dict[str, str],
) -> None:
    """One sentence and one remedy, wherever the path stands."""
    (here / "config.toml").write_text('[folders]\npaths = ["."]\n')
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert run(args) == 2
    assert capfd.readouterr().err.endswith(
        f"kb: {NOWHERE}: there is no user nobody-of-that-name\n    Write the path in full, without ~\n"
    )
