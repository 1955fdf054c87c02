"""Describes a model on this machine from the small files in its directory, without loading weights.

A model with missing files may load without an error and give wrong vectors, so directories are checked here first.
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
# Models whose position ids begin after the padding index, so that the positions before it are unused.
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
# A file with external weights in a graph: a protocol buffer entry with key "location" and the file name as value.
_EXTERNAL: Final = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
# A graph larger than this, in bytes, contains its weights.
_GRAPH: Final = 16 * 1024 * 1024
DOCUMENT_PROMPTS: Final = ("document", "passage", "corpus")
REMEDY: Final = (
    "Replace it by a complete copy, fetch it again with embed.offline = false, or set embed.model to another model"
)


@dataclass(frozen=True, slots=True)
class Located:
    """A model on this machine.

    Attributes:
        directory: The directory of its files.
        name: Its name in the configuration.
        revision: Its version: a commit, or a digest of its files.
        bundled: Whether it comes with a package, so that its weights must match the published digest.
        published: Whether name and revision identify the same model on every machine.
    """

    directory: Path
    name: str
    revision: str
    bundled: bool = False
    published: bool = True


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The properties of a model that are known without its weights.

    Attributes:
        model_type: The architecture, as transformers names it.
        hidden_size: The length of a token's vector.
        vocab_size: The number of rows of the embedding table.
        pooling: How token vectors are combined into one, for example ``cls`` or ``mean``.
        dimension: The length of a text's vector.
        limit: The most tokens of a text, including special tokens.
        query_prompt: The prefix of questions.
        document_prompt: The prefix of documents.
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
    """The required files of a model that are missing or empty."""
    needed = ["config.json", "modules.json", "tokenizer.json"]
    if present(directory / "modules.json"):
        needed += [f"{path}/config.json" for kind, path in _modules(directory) if path and kind != "Normalize"]
    missing = [name for name in needed if not present(directory / name)]
    return missing + missing_weights(directory)


def weight_files(directory: Path) -> list[Path]:
    """The weight files that are loaded: safetensors if there are any, else pickled ones, else ONNX."""
    for single in ("model.safetensors", "pytorch_model.bin"):
        if present(directory / single):
            return [directory / single]
        if present(directory / f"{single}.index.json"):
            shards = _read(directory / f"{single}.index.json").get("weight_map", {}).values()
            return [directory / shard for shard in sorted(set(shards))]
    return makers_onnx(directory)


def makers_onnx(directory: Path) -> list[Path]:
    """The ONNX graph published with a model, and the weight files that it names, existing or not."""
    graph = directory / "onnx" / "model.onnx"
    if not present(graph):
        return []
    if graph.stat().st_size > _GRAPH:
        return [graph]
    data = graph.read_bytes()
    found = (data[match.end() : match.end() + match[1][0]] for match in _EXTERNAL.finditer(data))
    return [graph, *(graph.parent / os.fsdecode(name) for name in sorted(set(found)))]


def only_onnx(directory: Path) -> bool:
    """Whether the published ONNX files are the only weights of a model."""
    files = weight_files(directory)
    return bool(files) and files == makers_onnx(directory)


def read_spec(directory: Path) -> ModelSpec:
    """Read the description of a model from its directory.

    Raises:
        ModelError: Files are missing or invalid, or the model needs code of its own.
    """
    if missing := missing_files(directory):
        raise ModelError(f"the model in {directory} is incomplete: {', '.join(missing)} missing", REMEDY)
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
        raise ModelError(f"the configuration of the model in {directory} is invalid ({error!r})", REMEDY) from error


def fingerprint(located: Located, spec: ModelSpec, numbers: str = "float") -> str:
    """Everything that affects vectors, as one line.

    Floating-point precisions and runtimes are left out, since their differences are too small to affect ranking; so is
    the model's limit, since texts are never truncated.

    Args:
        located: The model.
        spec: Its description.
        numbers: The number format and weights, as far as they change vectors.
    """
    prompts = json.dumps([spec.query_prompt, spec.document_prompt], ensure_ascii=False)
    name = located.name if located.published else "local"
    return f"{name}@{located.revision} {spec.pooling} unit {numbers} {spec.dimension} prompts={prompts}"


def _pooled(directory: Path) -> tuple[str, int]:
    """The pooling of a model and the length of its vectors, according to its modules."""
    modules = _modules(directory)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise ModelError(
            f"the modules of the model in {directory} are not a transformer followed by pooling ({', '.join(kinds)})",
            "Set embed.model to a sentence-transformers model with these modules",
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
    """The pooling modes of a pooling module's configuration, in its current or its older form."""
    if mode := config.get("pooling_mode"):
        return [mode] if isinstance(mode, str) else list(mode)
    return [mode for key, mode in POOLING_KEYS.items() if config.get(key)] or ["mean"]


def _limit(directory: Path, config: dict[str, Any]) -> int:
    """The most tokens of a text: the configured maximum, but at most the number of positions."""
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
    """The modules of a model as (kind, folder); rejects modules that sentence-transformers does not provide."""
    listed = _read(directory / "modules.json")
    try:
        modules = [(str(module["type"]), str(module["path"])) for module in listed]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{directory / 'modules.json'} does not list the model's modules", REMEDY) from error
    for type_, _ in modules:
        if not type_.startswith(MODULES_OWNER) or type_.rpartition(".")[2] not in KNOWN_MODULES:
            raise ModelError(
                f"the model in {directory} has the module {type_}, and kb does not run code that comes with a model",
                "Set embed.model to a model of transformer, pooling, dense and normalising modules only",
            )
    return [(type_.rpartition(".")[2], path) for type_, path in modules]


def missing_weights(directory: Path) -> list[str]:
    """The weight files that are missing."""
    files = weight_files(directory)
    if not files:
        return ["model.safetensors or pytorch_model.bin"]
    return [file.relative_to(directory).as_posix() for file in files if not present(file)]


def present(path: Path) -> bool:
    """Whether a file exists and is not empty; a link into a cache may be broken."""
    return path.is_file() and path.stat().st_size > 0


def _read(path: Path, *, optional: bool = False) -> Any:  # noqa: ANN401 - JSON
    """The content of a JSON file of a model; empty if it is optional and missing."""
    if optional and not present(path):
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error})", REMEDY) from error
