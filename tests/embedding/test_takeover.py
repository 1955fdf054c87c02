"""A model that runs in torch is exported to ONNX in the background, and taken over without a restart."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_bge_m3 import build_tiny_bge_m3

from kb.embedding import background_export, onnx_files, takeover
from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.embedding.onnx_files import export_folder, find_export, read_failure, write_failure
from kb.embedding.takeover import OnnxTakeover
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 240.0


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    """A tiny model in torch whose ONNX form nobody has made."""
    made = Encoder(locate(str(build_tiny_bge_m3(tmp_path / "model"))), models=tmp_path / "models")
    made.load()
    assert made.runs() == "torch cpu (float32)"
    return made


def stepped(taking: OnnxTakeover, until: Callable[[], bool]) -> None:
    """Have it do what is due until something is so."""
    end = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < end
        taking.step()
        time.sleep(0.02)


@pytest.mark.slow
def test_the_form_is_made_and_taken_over_while_texts_are_embedded(encoder: Encoder) -> None:
    """Vectors, fingerprint and questions stay the same; documents that are being embedded do not notice."""
    said: list[str] = []
    texts = [f"water and stone {number}" for number in range(30)]
    tokens = encoder.tokens.count(texts)
    before, fingerprint = encoder.embed_documents(texts, tokens), encoder.fingerprint
    ended, wrong = threading.Event(), []

    def embed() -> None:
        while not ended.is_set():
            wrong.append(float(np.abs(encoder.embed_documents(texts, tokens) - before).max()))

    thread = threading.Thread(target=embed)
    thread.start()
    try:
        stepped(OnnxTakeover(encoder, said.append, after=0), lambda: len(said) == 2)
    finally:
        ended.set()
        thread.join()

    assert said == [
        "exporting the model to ONNX in the background, which runs faster on a CPU",
        "the model runs in ONNX Runtime now: onnx cpu (float32)",
    ]
    assert encoder.runs() == "onnx cpu (float32)"
    assert encoder.fingerprint == fingerprint
    assert max(wrong) < 1e-5
    np.testing.assert_allclose(encoder.embed_documents(texts, tokens), before, atol=1e-5)


def test_nothing_begins_before_its_time_or_without_use(encoder: Encoder, forms: Path, tiny_encoder: Encoder) -> None:
    """Not in the first minute, not for a model that has a form, not where torch is configured."""
    now = [0.0]
    said: list[str] = []
    early = OnnxTakeover(encoder, said.append, clock=lambda: now[0])
    now[0] = takeover.AFTER_SECONDS - 1
    early.step()
    for made in (
        Encoder(tiny_encoder.located, models=forms),
        Encoder(encoder.located, runtime="torch", models=encoder.models),
        Encoder(encoder.located, precision="float16", models=encoder.models),
    ):
        OnnxTakeover(made, said.append, after=0).step()

    assert said == []
    assert not export_folder(encoder.located, encoder.models).parent.exists()


@pytest.mark.slow
def test_a_failure_is_told_once_and_not_repeated(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is in the log, then in what says how the model runs; other software tries again."""
    said: list[str] = []
    (encoder.located.directory / "pytorch_model.bin").write_bytes(b"no weights")
    taking = OnnxTakeover(encoder, said.append, after=0)
    stepped(taking, lambda: len(said) == 2)
    taking.step()

    assert len(said) == 2
    assert said[1].startswith("the model was not exported to ONNX: the model in ")
    assert said[1].endswith("; it stays in torch")
    again: list[str] = []
    OnnxTakeover(encoder, again.append, after=0).step()
    assert again == []
    assert "its export to ONNX failed: the model in " in str(encoder.choice())
    assert "kb model export tries again" in str(encoder.choice())

    monkeypatch.setattr(onnx_files, "software", lambda: {"kb": "another"})
    assert read_failure(encoder.located, encoder.models) == ""


def test_a_killed_export_is_a_failure(encoder: Encoder) -> None:
    """As where memory runs out: it would be killed again."""
    said: list[str] = []
    taking = OnnxTakeover(encoder, said.append, after=0)
    taking.step()
    os.kill(child_of(taking), signal.SIGKILL)
    stepped(taking, lambda: len(said) == 2)

    assert "killed by signal 9" in said[1]
    assert "killed by signal 9" in read_failure(encoder.located, encoder.models)


def test_a_stopped_export_is_no_failure(encoder: Encoder) -> None:
    """A daemon that stops ends its child, leaves nothing behind, and the next one begins anew."""
    taking = OnnxTakeover(encoder, lambda _: None, after=0)
    taking.step()
    child = child_of(taking)

    taking.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert read_failure(encoder.located, encoder.models) == ""
    assert find_export(encoder.located, "float32", encoder.models) is None


@pytest.mark.parametrize(
    ("what", "told"), [("onnx", "pip install"), ("memory", "MB of memory"), ("disk", "MB of free space")]
)
def test_what_prevents_it_is_said(encoder: Encoder, monkeypatch: pytest.MonkeyPatch, what: str, told: str) -> None:
    """Nothing is begun that this machine cannot finish."""
    said: list[str] = []
    if what == "onnx":
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        assert told in background_export.obstacle(encoder)
        return
    if what == "memory":
        monkeypatch.setattr(background_export, "available_memory", lambda: 100_000_000)
    else:
        monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free=1000))
    OnnxTakeover(encoder, said.append, after=0).step()

    assert len(said) == 1
    assert told in said[0]


def test_a_form_that_does_not_load_leaves_the_model_as_it_was(
    encoder: Encoder, forms: Path, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is verified beside the running model before anything changes."""
    one = Encoder(tiny_encoder.located, models=encoder.models)
    one.load()
    one._wanted = Encoder(tiny_encoder.located, models=forms)._wanted

    def refuse(*_: Any) -> None:
        raise ModelError("not the one that was verified", "")

    with monkeypatch.context() as broken:
        broken.setattr("kb.embedding.encoder.load_onnx", refuse)
        with pytest.raises(ModelError):
            one.switch()
    assert one.runs() == "torch cpu (float32)"

    assert one.switch()
    assert one.runs() == "onnx cpu (float32)"
    assert not one.switch()


def test_a_made_form_forgets_the_failure(encoder: Encoder) -> None:
    """``kb model export`` by hand that succeeds ends the matter."""
    from kb.embedding.onnx_export import export

    write_failure(encoder.located, "out of memory", encoder.models)
    assert read_failure(encoder.located, encoder.models) == "out of memory"

    export(encoder.located, encoder.tokens, models=encoder.models)

    assert read_failure(encoder.located, encoder.models) == ""


class Usage:
    """What ``shutil.disk_usage`` returns."""

    def __init__(self, free: int) -> None:
        self.free = free


def child_of(taking: OnnxTakeover) -> int:
    """The id of the process that exports."""
    assert taking._export is not None
    return taking._export._child.pid
