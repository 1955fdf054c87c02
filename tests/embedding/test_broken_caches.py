"""Incomplete or invalid models are refused and never give wrong vectors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tiny_bge_m3 import build_tiny_bge_m3, copy_model, fake_hub_cache

from kb.embedding.encoder import Encoder
from kb.embedding.locate import BGE_M3, locate
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json", "pytorch_model.bin"]
)
@pytest.mark.parametrize("how", ["gone", "dangling", "empty"])
def test_partial_cache_is_named_before_anything_is_loaded(tiny: Path, tmp_path: Path, name: str, how: str) -> None:
    """The error names each file that is missing from the hub's cache, and the remedies."""
    file = fake_hub_cache(tmp_path, tiny) / name
    blob = file.resolve()
    if how == "gone":
        file.unlink()
    elif how == "dangling":
        blob.unlink()
    else:
        blob.write_bytes(b"")

    with pytest.raises(ModelError) as caught:
        locate(BGE_M3, offline=True, cache_dir=tmp_path)

    assert name in caught.value.message
    assert "kb model fetch" in caught.value.remedy


def test_directory_with_a_missing_file_is_named(tiny: Path, tmp_path: Path) -> None:
    """The same for a directory of the user."""
    model = copy_model(tiny, tmp_path)
    (model / "modules.json").unlink()

    with pytest.raises(ModelError, match=r"modules\.json missing"):
        locate(str(model))


def test_empty_directory_is_named(tmp_path: Path) -> None:
    """For a directory without a model, the error lists the required files."""
    with pytest.raises(ModelError, match=r"config\.json, modules\.json, tokenizer\.json"):
        locate(str(tmp_path))


def test_missing_optional_files_change_nothing(tiny: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """Without sentence_bert_config.json the limit comes from the tokenizer's, and the vectors are the same."""
    model = copy_model(tiny, tmp_path)
    for name in ("sentence_bert_config.json", "config_sentence_transformers.json", "special_tokens_map.json"):
        (model / name).unlink()

    encoder = Encoder(locate(str(model)))

    assert encoder.tokens.limit == tiny_encoder.tokens.limit
    assert encoder.embed_query("water") == pytest.approx(tiny_encoder.embed_query("water"), abs=1e-6)


@pytest.mark.parametrize("name", ["config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json"])
def test_half_written_file_is_one_error(tiny: Path, tmp_path: Path, name: str) -> None:
    """The error for a truncated file names the file."""
    model = copy_model(tiny, tmp_path)
    whole = (model / name).read_text(encoding="utf-8")
    (model / name).write_text(whole[: len(whole) // 2], encoding="utf-8")

    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        Encoder(locate(str(model))).embed_query("water")


def test_half_written_weights_are_one_error(tiny: Path, tmp_path: Path) -> None:
    """Truncated weights are reported in kb's own words."""
    model = copy_model(tiny, tmp_path)
    whole = (model / "pytorch_model.bin").read_bytes()
    (model / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(model))).load()


def test_weights_that_run_code_are_refused(tiny: Path, tmp_path: Path) -> None:
    """A pickle that would call a function is not loaded."""
    import torch

    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (marker.touch, ())

    model = copy_model(tiny, tmp_path)
    torch.save({"x": Evil()}, model / "pytorch_model.bin")

    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(model))).load()
    assert not marker.exists()


def test_weights_with_parts_missing_are_refused(tiny: Path, tmp_path: Path) -> None:
    """Missing weights would be random, and vectors would differ after each start."""
    import torch

    model = copy_model(tiny, tmp_path)
    weights = torch.load(model / "pytorch_model.bin", weights_only=True)
    del weights["encoder.layer.1.output.dense.weight"]
    torch.save(weights, model / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"lack 1 of \d+ weights, such as encoder\.layer\.1\.output\.dense\.weight"):
        Encoder(locate(str(model))).load()


def test_weights_of_another_shape_are_refused(tiny: Path, tmp_path: Path) -> None:
    """A configuration that does not match the weights is an error."""
    model = copy_model(tiny, tmp_path)
    edit(model / "config.json", lambda config: config.update(intermediate_size=128))

    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(model))).load()


def test_tokenizer_of_another_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    """A tokenizer whose size does not match the embedding table is an error."""
    model = copy_model(tiny, tmp_path)
    edit(model / "tokenizer.json", lambda value: value["model"]["vocab"].pop(50))

    with pytest.raises(ModelError, match=r"its tokenizer has \d+ tokens"):
        Encoder(locate(str(model))).load()


def test_tokenizer_that_knows_no_letters_is_refused(tiny: Path, tmp_path: Path) -> None:
    """With a tokenizer that knows no word, all texts of equal length would have the same vector."""
    model = copy_model(tiny, tmp_path)

    def forget(value: Any) -> None:
        for entry in value["model"]["vocab"][4:-1]:
            entry[0] = f"\u6c34{entry[0]}"

    edit(model / "tokenizer.json", forget)

    with pytest.raises(ModelError, match="does not know ordinary words"):
        Encoder(locate(str(model))).load()


def test_bge_m3_that_pools_by_mean_is_refused(tmp_path: Path) -> None:
    """A model named bge-m3 must have bge-m3's pooling."""
    fake_hub_cache(tmp_path, build_tiny_bge_m3(tmp_path / "model", pooling="mean"))

    with pytest.raises(ModelError, match="BAAI/bge-m3 is cls"):
        Encoder(locate(BGE_M3, offline=True, cache_dir=tmp_path)).load()


def test_module_with_code_of_its_own_is_refused(tiny: Path, tmp_path: Path) -> None:
    """A model with a class outside sentence-transformers is not loaded."""
    model = copy_model(tiny, tmp_path)
    edit(model / "modules.json", lambda modules: modules[0].update(type="custom_st.Transformer"))

    with pytest.raises(ModelError, match="does not run code"):
        locate(str(model))


def test_model_class_with_code_of_its_own_is_refused(tiny: Path, tmp_path: Path) -> None:
    """A Python file that the configuration of a model names is not run."""
    model = copy_model(tiny, tmp_path)
    edit(
        model / "config.json",
        lambda config: config.update(model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModel": "evil.M"}),
    )
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")

    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(model))).load()
    assert not (tmp_path / "ran").exists()


def test_tampered_bundled_weights_are_refused(minilm_encoder: Encoder, tmp_path: Path) -> None:
    """Bundled weights that differ from the published ones in one byte are not loaded."""
    import shutil
    from dataclasses import replace

    located = minilm_encoder.located
    model = tmp_path / "model"
    shutil.copytree(located.directory, model)
    with (model / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x55")

    with pytest.raises(ModelError, match="not the published file"):
        Encoder(replace(located, directory=model)).load()
