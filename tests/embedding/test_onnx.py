"""ONNX forms of models: the same vectors as torch, without torch, and never from invalid files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_bge_m3 import build_tiny_bge_m3, copy_model

from kb.embedding import onnx_export, onnx_files
from kb.embedding.encoder import Encoder, choose
from kb.embedding.locate import BUNDLED, locate
from kb.embedding.onnx_export import export
from kb.embedding.onnx_files import export_folder, find_export
from kb.embedding.onnx_graph import write_graph
from kb.embedding.onnx_runtime import OnnxModel
from kb.embedding.references import SENTENCES, sample_texts
from kb.embedding.runtime import PROBES, Wanted
from kb.embedding.spec import Located
from kb.embedding.tokens import ModelTokens
from kb.embedding.verify import verify
from kb.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kb.embedding.runtime import Precision

ODD = ["", "</s> <s> <mask> <pad> a</s>b", "[SEP] water [PAD]", "\t \n", "caf\udce9", "water " * 100, *PROBES]


def vectors(encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
    """The vectors of documents."""
    return encoder.embed_documents(texts, encoder.tokens.count(texts))


@pytest.mark.parametrize(
    ("name", "longer"),
    [
        pytest.param("tiny_encoder", 20, id="tiny"),
        pytest.param("minilm_encoder", 2, id="minilm"),
        pytest.param("minilm_encoder", 20, id="minilm at more lengths", marks=pytest.mark.slow),
    ],
)
def test_vectors_are_those_of_torch(name: str, longer: int, forms: Path, request: pytest.FixtureRequest) -> None:
    """In every language, at every length and with special tokens in the text: equal within 1e-5, same fingerprint."""
    torch: Encoder = request.getfixturevalue(name)
    onnx = Encoder(torch.located, runtime="onnx", models=forms)
    long = sample_texts(torch.tokens)[len(SENTENCES) :][-longer:]
    assert max(torch.tokens.count(long)) > 0.9 * min(torch.tokens.limit, 384)
    texts = [*SENTENCES, *long, *ODD]

    np.testing.assert_allclose(vectors(onnx, texts), vectors(torch, texts), rtol=0, atol=1e-5)
    np.testing.assert_allclose(onnx.embed_query(" water\n"), torch.embed_query("water"), rtol=0, atol=1e-5)
    assert onnx.fingerprint == torch.fingerprint
    assert onnx.load() == "onnx cpu (float32)"


def test_mean_pooling_and_prompts_are_applied(tmp_path: Path) -> None:
    """A model with mean pooling, a truncated dimension and prompts gives the vectors of sentence-transformers."""
    model = build_tiny_bge_m3(tmp_path / "mean", pooling="mean")
    options = {"prompts": {"query": "search ", "passage": "notes "}, "truncate_dim": 20}
    (model / "config_sentence_transformers.json").write_text(json.dumps(options), "utf-8")
    torch = Encoder(locate(str(model)), runtime="torch")
    export(torch.located, torch.tokens, models=tmp_path / "models")
    onnx = Encoder(locate(str(model)), runtime="onnx", models=tmp_path / "models")

    assert onnx.embed_query("water").shape == (20,)
    np.testing.assert_allclose(onnx.embed_query("stone"), torch.embed_query("stone"), atol=1e-5)
    np.testing.assert_allclose(vectors(onnx, ["a river"]), vectors(torch, ["a river"]), atol=1e-5)


@pytest.mark.slow
def test_int8_is_near_and_has_its_own_fingerprint(minilm_encoder: Encoder, forms: Path) -> None:
    """int8 vectors of English pages are near those in float32, and the stores refuse each other's.

    Without calibration their mean cosine is 0.994, and the least below 0.99.
    """
    eight = Encoder(minilm_encoder.located, precision="int8", models=forms)
    pages = [(Path(__file__).parents[2] / "docs" / name).read_text("utf-8") for name in ("notes.md", "watching.md")]
    texts = [part for page in pages for part in page.split("\n\n") if len(part) > 100]
    texts = [text for text in texts if minilm_encoder.tokens.count([text])[0] <= minilm_encoder.tokens.limit]

    cosines = np.sum(vectors(eight, texts) * vectors(minilm_encoder, texts), axis=1)

    assert eight.load() == "onnx cpu (int8)"
    assert len(texts) > 20
    assert cosines.mean() > 0.997
    assert cosines.min() > 0.99
    assert cosines.max() < 0.99999
    assert eight.fingerprint != minilm_encoder.fingerprint


def test_auto_uses_an_existing_form(minilm: Located, forms: Path, tmp_path: Path) -> None:
    """Without a form, torch runs the model; the reason is given, and each runtime gets what only it supports."""
    tokens = ModelTokens(minilm.directory)

    def chosen(models: Path = forms, **wanted: Any) -> str:
        return choose(minilm, tokens, Wanted(models=models, **wanted)).runtime

    assert chosen() == "onnx"
    assert chosen(tmp_path) == "torch"
    assert "kb model export" in str(choose(minilm, tokens, Wanted(models=tmp_path)))
    assert chosen(runtime="torch") == chosen(precision="float16") == chosen(device="cuda") == "torch"
    assert chosen(precision="int8") == "onnx"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"runtime": "onnx"}, "there is no ONNX form"),
        ({"precision": "int8"}, "in int8"),
        ({"runtime": "torch", "precision": "int8"}, "torch does not run it"),
        ({"runtime": "onnx", "device": "cuda"}, "on the CPU"),
        ({"runtime": "onnx", "precision": "bfloat16"}, "bfloat16"),
    ],
)
def test_impossible_configurations_are_reported(
    minilm: Located, tmp_path: Path, wanted: dict[str, Any], told: str
) -> None:
    """No other configuration is used silently."""
    with pytest.raises(ModelError, match=told):
        choose(minilm, ModelTokens(minilm.directory), Wanted(models=tmp_path, **wanted))


def test_a_gpu_is_for_documents_and_questions_need_none(
    minilm: Located, forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a GPU, torch embeds documents, and ONNX Runtime still embeds the first question."""
    monkeypatch.setattr("kb.embedding.encoder.finds_gpu", lambda wanted: wanted.device != "cpu")
    tokens = ModelTokens(minilm.directory)

    assert choose(minilm, tokens, Wanted(models=forms)).runtime == "torch"
    assert choose(minilm, tokens, Wanted(models=forms), question=True).runtime == "onnx"
    assert choose(minilm, tokens, Wanted(models=forms, device="cpu")).runtime == "onnx"
    encoder = Encoder(minilm, models=forms)
    encoder.embed_query("water")
    assert not encoder.loaded


def test_a_changed_model_does_not_use_an_old_form(
    tiny: Path, tiny_encoder: Encoder, forms: Path, tmp_path: Path
) -> None:
    """A single changed number in the weights makes another model."""
    model = copy_model(tiny, tmp_path)
    (model / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode": "mean"}', "utf-8"
    )

    assert find_export(tiny_encoder.located, "float32", forms) is not None
    assert find_export(locate(str(model)), "float32", forms) is None


@pytest.fixture
def own_forms(tiny_encoder: Encoder, forms: Path, tmp_path: Path) -> Path:
    """The forms of the tiny model, in a folder that tests may damage."""
    folder = export_folder(tiny_encoder.located, forms)
    shutil.copytree(folder, tmp_path / "models" / "onnx" / folder.name)
    return tmp_path / "models"


def test_a_damaged_form_is_refused(tiny_encoder: Encoder, own_forms: Path) -> None:
    """A truncated file counts as missing; wrong numbers in a file of the right length are found on loading."""
    folder = export_folder(tiny_encoder.located, own_forms)
    data = folder / "model.onnx.data"
    before = data.read_bytes()
    data.write_bytes(bytes(reversed(before)))

    encoder = Encoder(tiny_encoder.located, models=own_forms)
    with pytest.raises(ModelError, match=r"not finite|not the one that was verified"):
        encoder.embed_query("water")
    assert [one.told for one in verify(encoder, encoder.located, folder) if one.good is False]

    data.write_bytes(before[:-1])
    assert Encoder(tiny_encoder.located, models=own_forms).choice().runtime == "torch"


def test_a_graph_of_another_model_is_refused(tiny_encoder: Encoder, own_forms: Path, tmp_path: Path) -> None:
    """The vector of the probe reveals a form that was replaced by another valid one."""
    other = Encoder(locate(str(build_tiny_bge_m3(tmp_path / "other", seed=8))), runtime="torch")
    export(other.located, other.tokens, models=tmp_path / "others")
    source, target = (
        export_folder(*one) for one in ((other.located, tmp_path / "others"), (tiny_encoder.located, own_forms))
    )
    for file in ("model.onnx", "model.onnx.data"):
        shutil.copy(source / file, target / file)

    with pytest.raises(ModelError, match="not the one that was verified"):
        Encoder(tiny_encoder.located, models=own_forms).embed_query("water")


def test_a_wrong_graph_does_not_replace_a_form(
    tiny_encoder: Encoder, own_forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph with other vectors is an error, and the existing form stays, without leftovers."""
    from kb.embedding import onnx_graph

    monkeypatch.setattr(onnx_graph, "FROM_PADDING", frozenset())
    before = sorted(own_forms.rglob("*"))

    with pytest.raises(ModelError, match="gives other vectors than the model"):
        export(tiny_encoder.located, tiny_encoder.tokens, models=own_forms)

    assert sorted(own_forms.rglob("*")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it; nothing is left behind, so the next export starts afresh."""
    located = locate(str(tiny))

    def on_a_full_disk(weight: Any, config: Any, path: Path, calibration: Any) -> None:
        path.with_name(f"{path.name}.data").symlink_to("/dev/full")
        write_graph(weight, config, path, calibration)

    monkeypatch.setattr(onnx_export, "write_graph", on_a_full_disk)

    with pytest.raises(ModelError, match=r"cannot be written to .*: its disk is full") as caught:
        export(located, ModelTokens(located.directory), models=tmp_path)

    assert "Free some space" in caught.value.remedy
    assert list((tmp_path / "onnx").iterdir()) == []


@pytest.mark.slow
def test_forms_of_an_older_format_are_exported_again(
    tiny_encoder: Encoder, own_forms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new format has a folder of its own, and a broken manifest is ignored."""
    (export_folder(tiny_encoder.located, own_forms) / onnx_files.MANIFEST).write_text("{", "utf-8")
    assert find_export(tiny_encoder.located, "float32", own_forms) is None
    monkeypatch.setattr(onnx_files, "FORMAT", onnx_files.FORMAT + 1)
    assert find_export(tiny_encoder.located, "float32", own_forms) is None


@pytest.mark.slow
def test_traced_graphs_are_right_too(tiny_encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architectures that kb does not write itself are traced by torch's exporter, and quantised by ONNX Runtime."""
    from kb.embedding import onnx_graph

    monkeypatch.setattr(onnx_graph, "KINDS", frozenset())
    made = export(tiny_encoder.located, tiny_encoder.tokens, int8=True, models=tmp_path)

    assert made[0].measured["largest_difference"] < 1e-5
    assert made[1].form == "int8"
    assert made[1].measured["mean_cosine"] > 0.97


@pytest.mark.slow
def test_a_question_goes_before_waiting_runs(minilm: Located, forms: Path) -> None:
    """While many documents are embedded, a question does not wait for them."""
    encoder = Encoder(minilm, models=forms, threads=1)
    encoder.load()
    assert isinstance(encoder._loaded, OnnxModel)
    texts = ["a long text about rivers and stones " * 20] * 60
    done: list[float] = []

    def embed() -> None:
        vectors(encoder, texts)
        done.append(time.monotonic())

    run = threading.Thread(target=embed)
    run.start()
    time.sleep(0.05)

    encoder.embed_query("water")
    answered = time.monotonic()
    run.join()

    assert answered < done[0]


@pytest.mark.slow
def test_published_cosines_hold(minilm_encoder: Encoder, forms: Path) -> None:
    """``kb model verify`` accepts the bundled model in each of its forms."""
    folder = export_folder(minilm_encoder.located, forms)
    precisions: tuple[Precision, ...] = ("float32", "int8")
    for precision in precisions:
        encoder = Encoder(minilm_encoder.located, runtime="onnx", precision=precision, models=forms)
        assert [one for one in verify(encoder, encoder.located, folder) if one.good is not True] == []
    assert [one for one in verify(minilm_encoder, minilm_encoder.located, folder) if one.good is not True] == []


def test_wrong_published_cosines_are_reported(tiny_encoder: Encoder, tmp_path: Path) -> None:
    """Other weights under the name of a published model are found; nothing is reported for an unknown model."""
    named = Located(tiny_encoder.located.directory, BUNDLED, "sha256:0")

    told = {one.what: one.good for one in verify(tiny_encoder, named, tmp_path)}
    unknown = {one.what: one.good for one in verify(tiny_encoder, tiny_encoder.located, tmp_path)}

    assert told["published cosines"] is False
    assert unknown["published cosines"] is None


def test_no_torch_is_imported(minilm: Located, forms: Path) -> None:
    """Embedding in ONNX Runtime imports neither torch, transformers, sentence-transformers nor ChromaDB."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kb.embedding.encoder import Encoder\n"
        "from kb.embedding.locate import locate\n"
        f"encoder = Encoder(locate({minilm.name!r}), models=Path({str(forms)!r}))\n"
        "encoder.embed_documents(['water'], [3]), encoder.embed_query('stone')\n"
        "print([name for name in ('torch', 'transformers', 'sentence_transformers', 'chromadb', 'onnx') "
        "if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]"
