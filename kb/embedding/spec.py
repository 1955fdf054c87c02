"""A model on this machine and what its directory says about itself, read from small files without loading any weights.

A model with files missing loads without an error and gives wrong vectors, so a directory is judged here first.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

MODULES_OWNER: Final = "sentence_transformers."
KNOWN_MODULES: Final = ("Transformer", "Pooling", "Dense", "Normalize")
# Models that number positions from the padding index on: that many positions are never used.
OFFSET_POSITIONS: Final = frozenset(
    {"camembert", "data2vec-text", "longformer", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"}
)
POOLING_KEYS: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Where a graph names a file with its numbers: an entry of its protocol buffer, key "location", value the name.
_EXTERNAL: Final = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
# A graph longer than this has its numbers in itself.
_GRAPH: Final = 16 * 1024 * 1024
DOCUMENT_PROMPTS: Final = ("document", "passage", "corpus")
REMEDY: Final = (
    "Put a whole copy of the model in its place, fetch it again with embed.offline = false, "
    "or set embed.model to another one."
)


@dataclass(frozen=True, slots=True)
class Located:
    """A model that is on this machine.

    Attributes:
        directory: Where its files are.
        name: What the user calls it.
        revision: What tells this version of it from another: a commit, or a digest of its files.
        bundled: Whether its weights come with a package and have to match their published digest.
        published: Whether name and revision mean the same on every machine.
    """

    directory: Path
    name: str
    revision: str
    bundled: bool = False
    published: bool = True


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is known of a model without its weights.

    Attributes:
        model_type: The architecture, as transformers names it.
        hidden_size: The length of a token's vector.
        vocab_size: How many rows the embedding table has.
        pooling: How the vectors of the tokens become one, for example ``cls`` or ``mean``.
        dimension: The length of a text's vector.
        limit: The most tokens the model reads, special tokens included.
        query_prompt: What the model wants in front of a question.
        document_prompt: What the model wants in front of a document.
        modules: The kinds of its modules, in order.
    """

    model_type: str
    hidden_size: int
    vocab_size: int
    pooling: str
    dimension: int
    limit: int
    query_prompt: str = ""
    document_prompt: str = ""
    modules: tuple[str, ...] = ()


def missing_files(directory: Path) -> list[str]:
    """The files a model cannot do without that are not there, or are empty."""
    needed = ["config.json", "modules.json", "tokenizer.json"]
    if present(directory / "modules.json"):
        needed += [f"{path}/config.json" for kind, path in _modules(directory) if path and kind != "Normalize"]
    missing = [name for name in needed if not present(directory / name)]
    return missing + missing_weights(directory)


def weight_files(directory: Path) -> list[Path]:
    """The files with the weights that will be loaded: safetensors where there are any, else pickled ones, else ONNX."""
    for single in ("model.safetensors", "pytorch_model.bin"):
        if present(directory / single):
            return [directory / single]
        if present(directory / f"{single}.index.json"):
            shards = _read(directory / f"{single}.index.json").get("weight_map", {}).values()
            return [directory / shard for shard in sorted(set(shards))]
    return makers_onnx(directory)


def makers_onnx(directory: Path) -> list[Path]:
    """The ONNX graph that a model's makers put beside its weights, then the files it names, there or not."""
    graph = directory / "onnx" / "model.onnx"
    if not present(graph):
        return []
    if graph.stat().st_size > _GRAPH:
        return [graph]
    data = graph.read_bytes()
    found = (data[match.end() : match.end() + match[1][0]] for match in _EXTERNAL.finditer(data))
    return [graph, *(graph.parent / os.fsdecode(name) for name in sorted(set(found)))]


def only_onnx(directory: Path) -> bool:
    """Whether the makers' ONNX files are all the weights that a model has."""
    files = weight_files(directory)
    return bool(files) and files == makers_onnx(directory)


def read_spec(directory: Path) -> ModelSpec:
    """Read what a model directory says about itself.

    Raises:
        ModelError: Files are missing or broken, or the model is built from parts that would need code of its own.
    """
    if missing := missing_files(directory):
        raise ModelError(f"The model in {directory} is incomplete: {', '.join(missing)} not there", REMEDY)
    config = _read(directory / "config.json")
    options = _read(directory / "config_sentence_transformers.json", optional=True)
    prompts = options.get("prompts") or {}
    try:
        pooling, dimension = _pooled(directory)
        return ModelSpec(
            model_type=str(config["model_type"]),
            hidden_size=int(config["hidden_size"]),
            vocab_size=int(config["vocab_size"]),
            pooling=pooling,
            dimension=int(options.get("truncate_dim") or dimension),
            limit=_limit(directory, config),
            query_prompt=str(prompts.get("query", "")),
            document_prompt=str(next((prompts[name] for name in DOCUMENT_PROMPTS if name in prompts), "")),
            modules=tuple(kind for kind, _ in _modules(directory)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The model in {directory} does not say what it is ({error!r})", REMEDY) from error


def fingerprint(located: Located, spec: ModelSpec, numbers: str = "float") -> str:
    """Whatever changes a vector, as one line.

    The floating point precisions and the runtimes count as one: their vectors differ by less than ranking can see. How
    much the model reads is left out, since nothing is ever cut.

    Args:
        located: The model.
        spec: What it says about itself.
        numbers: The kind of numbers it computes in, where that makes other vectors.
    """
    prompts = json.dumps([spec.query_prompt, spec.document_prompt], ensure_ascii=False)
    name = located.name if located.published else "local"
    return f"{name}@{located.revision} {spec.pooling} unit {numbers} {spec.dimension} prompts={prompts}"


def _pooled(directory: Path) -> tuple[str, int]:
    """How the model pools and how long its vectors are, following its modules one by one."""
    modules = _modules(directory)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise ModelError(
            f"The model in {directory} does not begin with a transformer and its pooling ({', '.join(kinds)})",
            "Set embed.model to a sentence-transformers model of that shape.",
        )
    pooling, dimension = "", 0
    for kind, path in modules[1:]:
        if kind == "Pooling":
            config = _read(directory / path / "config.json")
            modes = _modes(config)
            pooling = "+".join(modes)
            dimension = len(modes) * int(config.get("embedding_dimension") or config["word_embedding_dimension"])
        elif kind == "Dense":
            dimension = int(_read(directory / path / "config.json")["out_features"])
    return pooling, dimension


def _modes(config: dict[str, Any]) -> list[str]:
    """The pooling modes of a pooling config, in either of the ways they are written."""
    if mode := config.get("pooling_mode"):
        return [mode] if isinstance(mode, str) else list(mode)
    return [mode for key, mode in POOLING_KEYS.items() if config.get(key)] or ["mean"]


def _limit(directory: Path, config: dict[str, Any]) -> int:
    """The most tokens the model reads: what it was trained for, never more than it has positions."""
    stated = _read(directory / "sentence_bert_config.json", optional=True).get("max_seq_length")
    stated = stated or _read(directory / "tokenizer_config.json", optional=True).get("model_max_length")
    positions = int(config.get("max_position_embeddings") or -1)
    if config["model_type"] in OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id") or 0) + 1
    limits = [int(limit) for limit in (stated, positions) if limit and limit > 0]
    if not limits:
        raise ValueError("no max_seq_length")
    return min(limits)


def _modules(directory: Path) -> list[tuple[str, str]]:
    """The modules of a model as (kind, folder), refusing those that are not sentence-transformers' own."""
    listed = _read(directory / "modules.json")
    try:
        modules = [(str(module["type"]), str(module["path"])) for module in listed]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{directory / 'modules.json'} does not list the model's modules", REMEDY) from error
    for type_, _ in modules:
        if not type_.startswith(MODULES_OWNER) or type_.rpartition(".")[2] not in KNOWN_MODULES:
            raise ModelError(
                f"The model in {directory} has a module {type_}, and kb runs no code that comes with a model",
                "Set embed.model to a model made of a transformer, pooling, dense and normalising modules.",
            )
    return [(type_.rpartition(".")[2], path) for type_, path in modules]


def missing_weights(directory: Path) -> list[str]:
    """The weight files that are not there."""
    files = weight_files(directory)
    if not files:
        return ["model.safetensors or pytorch_model.bin"]
    return [file.relative_to(directory).as_posix() for file in files if not present(file)]


def present(path: Path) -> bool:
    """Whether a file is there and holds something; a link into a cache may point nowhere."""
    return path.is_file() and path.stat().st_size > 0


def _read(path: Path, *, optional: bool = False) -> Any:  # noqa: ANN401 - JSON
    """One JSON file of a model."""
    if optional and not present(path):
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error})", REMEDY) from error
