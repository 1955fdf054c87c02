"""The keys of ``config.toml`` with their types, defaults and explanations: the only place where they stand.

The shipped ``config.toml`` and what ``kb init`` writes are made from these classes; a test compares.
"""

from __future__ import annotations

import typing
from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from kb.records import DEFAULT_MODE, MODES, Mode, Rerank, ResolvedRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The hits that an answer is looked for in.
ANSWER_HITS: Final = 5
BY_NAME_ALONE: Final = frozenset({"BAAI/bge-m3", "all-MiniLM-L6-v2"})
Count = Annotated[int, Meta(ge=1)]
Cosine = Annotated[float, Meta(ge=-1.0, le=1.0)]


class Folders(Struct, frozen=True):
    """Which files belong."""

    paths: Annotated[
        tuple[str, ...],
        Meta(
            description="The folders to read. Relative ones are taken from the folder this file is in; ~ is your home."
        ),
    ] = ()
    include: Annotated[
        tuple[str, ...],
        Meta(
            description="Only files that match one of these patterns, as in .gitignore, are read. Empty: all of them."
        ),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Meta(description="Files and folders that match one of these patterns are left out, as in .gitignore."),
    ] = (
        "node_modules/",
        "__pycache__/",
        ".venv/",
        "venv/",
        "*~",
        "*.swp",
        "*.tmp",
        "*.lock",
        "*.min.js",
        "*.min.css",
        "*.map",
    )
    gitignore: Annotated[
        bool, Meta(description="Respect .gitignore files. A .kbignore file is always respected, with the same meaning.")
    ] = True
    hidden: Annotated[bool, Meta(description="Read files and folders whose name begins with a dot.")] = False
    follow_symlinks: Annotated[
        bool,
        Meta(description="Follow symbolic links that stay inside the folder. Links that lead out are never followed."),
    ] = True
    max_file_mb: Annotated[
        float, Meta(gt=0, description="Files larger than this many megabytes are not read, and named by kb status.")
    ] = 10.0


class Chunk(Struct, frozen=True):
    """How documents are split into passages."""

    max_tokens: Annotated[
        int,
        Meta(
            ge=32,
            description="The longest passage, in the model's own tokens, title and headings included. "
            "Lowered to what the model reads where that is less.",
        ),
    ] = 256


class Documents(Struct, frozen=True):
    """Documents that are not plain text: PDF, Office, web pages, e-books, mails, notebooks."""

    max_file_mb: Annotated[
        float, Meta(gt=0, description="Documents larger than this many megabytes are not read, and named by kb status.")
    ] = 100.0
    seconds: Annotated[
        float, Meta(ge=1, description="How long reading one document may take. It is read in a process of its own.")
    ] = 60.0
    memory_mb: Annotated[float, Meta(ge=64, description="How much memory reading one document may take.")] = 1000.0
    text_mb: Annotated[float, Meta(gt=0, description="How much text one document may hold.")] = 50.0
    ocr: Annotated[
        bool,
        Meta(
            description="Have Tesseract, where it is installed, read images and pages of PDFs that have no text. "
            "It takes seconds a page."
        ),
    ] = False
    ocr_languages: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$",
            description="The languages to recognise, by Tesseract's names: eng, deu+eng.",
        ),
    ] = "eng"
    ocr_seconds: Annotated[
        float, Meta(ge=1, description="How long reading one document may take where its pages have to be recognised.")
    ] = 600.0


class Embed(Struct, frozen=True):
    """The embedding model."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="A name on the Hugging Face hub, a local directory, or all-MiniLM-L6-v2: "
            "the small English model of the extra 'bundled', which needs no download.",
        ),
    ] = "BAAI/bge-m3"
    revision: Annotated[
        str,
        Meta(
            description="The revision (commit) of a model from the hub. Empty: the pinned one for BAAI/bge-m3, "
            "else main."
        ),
    ] = ""
    runtime: Annotated[
        Literal["auto", "torch", "onnx"],
        Meta(
            description="By which library the model runs. auto: ONNX Runtime on a CPU where 'kb model export' made the "
            "model's ONNX form, else torch."
        ),
    ] = "auto"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Meta(description="Where the model runs. auto: an NVIDIA GPU, else an Apple GPU, else the CPU."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "float16", "bfloat16", "int8"],
        Meta(
            description="The precision of the model. auto: float16 on a GPU, float32 on the CPU. int8: faster "
            "on most CPUs, a little less exact, and vectors of its own (kb index --full)."
        ),
    ] = "auto"
    batch_tokens: Annotated[
        int,
        Meta(ge=0, description="How many tokens, padding included, the model gets at once. 0: what suits the device."),
    ] = 0
    threads: Annotated[int, Meta(ge=0, description="CPU threads for the model. 0: all cores.")] = 0
    offline: Annotated[
        bool,
        Meta(description="Never fetch a model: use what is on this machine, or say what is missing."),
    ] = False
    cache_vectors: Annotated[
        Count,
        Meta(
            description="How many vectors the embedding cache keeps, so that no text is embedded twice. "
            "The longest unused are dropped first."
        ),
    ] = 1_000_000


class Store(Struct, frozen=True):
    """Where the index is kept."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="The store: ChromaDB's files, the catalog and the embedding cache. "
            "Relative to the folder this file is in.",
        ),
    ] = ".kb"
    collection: Annotated[
        str,
        Meta(
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]$", description="The name of the ChromaDB collection."
        ),
    ] = "passages"
    wait_seconds: Annotated[
        float, Meta(ge=0, description="How long a command waits while one other process has the store.")
    ] = 30.0
    chroma: Annotated[
        str,
        Meta(
            description="The Chroma server that keeps the vectors, https://HOST:PORT. It is sent vectors, and the "
            "paths and headings of your files. Empty: they are kept in the store."
        ),
    ] = ""
    tenant: Annotated[str, Meta(min_length=1, description="The tenant on the server.")] = "default_tenant"
    database: Annotated[str, Meta(min_length=1, description="The database of that tenant.")] = "default_database"
    headers_file: Annotated[
        str,
        Meta(
            description="A file of yours alone (chmod 600) with headers for the server, one a line, as in "
            "x-chroma-token: TOKEN. The variable KB_CHROMA_HEADERS comes before it."
        ),
    ] = ""
    server_seconds: Annotated[
        float, Meta(gt=0, description="How long one call to the server may take before kb goes on without it.")
    ] = 10.0
    unencrypted: Annotated[
        bool,
        Meta(
            description="Allow http:// to a server on another machine: vectors, paths, headings and headers then pass "
            "through the network in clear."
        ),
    ] = False


class Search(Struct, frozen=True):
    """How questions are answered."""

    limit: Annotated[Count, Meta(description="How many hits are shown.")] = 10
    mode: Annotated[
        Mode,
        Meta(
            description="What orders the hits. "
            + "; ".join(f"{mode}: {traits.about}" for mode, traits in MODES.items())
            + ". The score shown is the cosine in each of them."
        ),
    ] = DEFAULT_MODE
    weak: Annotated[
        bool, Meta(description="Show hits even where nothing in the notes seems to answer the question.")
    ] = False
    fold: Annotated[
        bool, Meta(description="Show passages that say the same as one hit, and name the others under it.")
    ] = True
    min_score: Annotated[Cosine, Meta(description="Hits with a cosine below this are not shown.")] = -1.0
    per_file: Annotated[int, Meta(ge=0, description="How many hits one file may have. 0: no limit.")] = 0
    candidates: Annotated[
        Count, Meta(description="How many candidates ChromaDB gives, to be ranked by exact cosine.")
    ] = 320
    best_seconds: Annotated[
        float,
        Meta(ge=0, description="How long to look for the best sentences of the hits by the model. 0: by words alone."),
    ] = 0.1
    rerank: Annotated[
        Rerank,
        Meta(
            description="Have the best hits read again by a slower model, and ordered by it. colbert and lexical: "
            "bge-m3's own heads."
        ),
    ] = "off"
    rerank_model: Annotated[
        str,
        Meta(min_length=1, description="The cross-encoder: a name on the Hugging Face hub, or a local directory."),
    ] = "BAAI/bge-reranker-v2-m3"
    rerank_revision: Annotated[
        str,
        Meta(description="Its revision (commit). Empty: the pinned one for BAAI/bge-reranker-v2-m3, else main."),
    ] = ""
    rerank_hits: Annotated[Count, Meta(description="How many hits are read again.")] = 30
    rerank_seconds: Annotated[
        float,
        Meta(gt=0, description="After how many seconds no more are read; loading the model does not count."),
    ] = 10.0

    def defaults(self) -> ResolvedRequest:
        """What a search leaves to the configuration."""
        return ResolvedRequest(
            limit=self.limit,
            min_score=self.min_score,
            per_file=self.per_file,
            mode=self.mode,
            weak=self.weak,
            fold=self.fold,
            rerank=self.rerank,
            best_seconds=self.best_seconds,
            candidates=self.candidates,
        )


class Answering(Struct, frozen=True):
    """How kb ask answers."""

    mode: Annotated[Mode, Meta(description="What orders the passages in which an answer is looked for.")] = Mode.HYBRID
    model: Annotated[
        str,
        Meta(
            description="The language model that answers, by the name that llm knows it by, or that endpoint does "
            "(extra 'answer'). Empty: none, the answer is the best sentences of the files."
        ),
    ] = ""
    endpoint: Annotated[
        str,
        Meta(
            description="Where the model is: the address of an OpenAI-compatible server, such as "
            "http://127.0.0.1:8080/v1, or, for a model that llm knows, the host that the text of your notes may be "
            "sent to, such as api.anthropic.com. Empty: llm knows it, and it is on this machine."
        ),
    ] = ""
    offline: Annotated[
        bool, Meta(description="Never send a question or a passage to another machine, whatever endpoint says.")
    ] = True
    seconds: Annotated[
        float, Meta(gt=0, description="How long the model may take; after that the answer is the best sentences.")
    ] = 120.0
    max_tokens: Annotated[Count, Meta(description="The longest answer, in the model's tokens.")] = 800
    context_chars: Annotated[
        int,
        Meta(ge=1000, description="How many characters of passages the model is given. A token is about four of them."),
    ] = 8000

    def defaults(self, search: Search) -> ResolvedRequest:
        """What a question to ``kb ask`` leaves to the configuration."""
        return replace(search.defaults(), mode=self.mode, limit=ANSWER_HITS)


class Note(Struct, frozen=True):
    """What kb note writes."""

    folder: Annotated[
        str,
        Meta(
            pattern=r"^(?!\s*[/~\\])(?!(.*/)?\.\.(/|$)).*$",
            description="Where notes are written, below the first folder. %Y, %m and %d stand for the day: journal/%Y. "
            "Empty: in the folder itself.",
        ),
    ] = ""


class Watch(Struct, frozen=True):
    """How kb watch follows the folders."""

    polling: Annotated[
        bool, Meta(description="Look for changes every poll_seconds, even where the system reports them.")
    ] = False
    poll_seconds: Annotated[
        float,
        Meta(ge=1, description="How often the folders are looked at where the system reports no changes."),
    ] = 30.0
    quiet_ms: Annotated[
        int, Meta(ge=0, description="How long a folder has to be quiet before what changed in it is read.")
    ] = 300
    patience_seconds: Annotated[
        float, Meta(gt=0, description="How long a folder that is never quiet waits at most.")
    ] = 5.0
    sweep_minutes: Annotated[
        float, Meta(gt=0, description="How often everything is looked at, in case a change was not reported.")
    ] = 10.0


class Serve(Struct, frozen=True):
    """What kb watch offers to other programs."""

    http: Annotated[
        str,
        Meta(
            pattern=r"^((\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/\[\]]+):)?[0-9]{1,5}$|^$",
            description="Where programs reach kb watch over HTTP, with the token that kb token prints: 127.0.0.1:7420. "
            "Empty: nowhere.",
        ),
    ] = ""


class Config(Struct, frozen=True):
    """The whole configuration, as in ``config.toml``."""

    folders: Folders = Folders()
    chunk: Chunk = Chunk()
    documents: Documents = Documents()
    embed: Embed = Embed()
    store: Store = Store()
    search: Search = Search()
    answer: Answering = Answering()
    note: Note = Note()
    watch: Watch = Watch()
    serve: Serve = Serve()


class Field(Struct, frozen=True):
    """One key: its section, name, type with bounds, default and explanation."""

    section: str
    name: str
    type: Any
    default: object
    about: str

    @property
    def key(self) -> str:
        """The dotted key, as ``kb config`` shows it."""
        return f"{self.section}.{self.name}"

    @property
    def values(self) -> tuple[str, ...]:
        """The only values it can have, where it is one of a few words."""
        kind = typing.get_args(self.type)[0] if typing.get_args(self.type) else None
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return tuple(member.value for member in kind)
        return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


@cache
def sections() -> Mapping[str, type[Struct]]:
    """The sections of the file in their order, with the class of each."""
    return typing.get_type_hints(Config)


@cache
def fields() -> tuple[Field, ...]:
    """Every key in the order of the file."""
    return tuple(_fields())


def _fields() -> Iterator[Field]:
    for section, struct in sections().items():
        hints = typing.get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            annotated = hints[field.name]
            about = next((m.description for m in _metas(annotated) if m.description), "")
            yield Field(section, field.name, annotated, field.default, about)


def _metas(annotated: object) -> Iterator[Meta]:
    """The constraints and explanations of a type."""
    for extra in getattr(annotated, "__metadata__", ()):
        if isinstance(extra, Meta):
            yield extra
