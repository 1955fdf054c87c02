"""Output formats for programs: JSON, JSON lines, CSV, Markdown and paths. Keys and columns are a public interface."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

from kb.cli.output.snippet import by_words, snippet
from kb.cli.output.terminal import escape_json, file_url, one_line, relative_path, sanitize, shown_path
from kb.formats.registry import REGISTRY
from kb.search.words import Words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kb.records import (
        Answer,
        CheckReport,
        Failure,
        Freshness,
        Hit,
        IndexReport,
        KnownFile,
        Links,
        RebuildReport,
        ResolvedLink,
        Sentence,
        Shown,
        Status,
        StoredPassage,
    )

Format = Literal["text", "json", "jsonl", "csv", "md", "paths"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json", "jsonl", "csv", "md", "paths")
CSV_COLUMNS: Final = (
    "rank", "score", "l2", "path", "first_line", "last_line", "page", "heading", "title", "changed", "text", "id",
    "place", "alike",
)  # fmt: skip
# How many of a hit's near duplicates text output names.
_NAMED: Final = 3
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>!|#~])")


def where(passage: StoredPassage) -> str:
    """Return where in its file a passage is: its lines, and its place such as a page or slide.

    Lines of extracted text are used only where the document has no places, since they are not lines of the file.
    """
    lines = f"{passage.first_line}-{passage.last_line}"
    place = one_line(passage.place)
    return " ".join(filter(None, (lines, place))) if passage.exact else place or lines


def duplicate_places(hit: Hit, cwd: str) -> list[str]:
    """Return where the near duplicates of a hit are, sanitized: path and first line, else the place."""
    return [
        f"{shown_path(one.passage.file.absolute_path, cwd)}:"
        f"{one.passage.first_line if one.passage.exact else where(one.passage)}"
        for one in hit.duplicates
    ]


def duplicates_text(hit: Hit, cwd: str) -> str:
    """Return how many near duplicates a hit has, and where the first of them are."""
    places = duplicate_places(hit, cwd)
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"+{len(places)} like it: {', '.join(places[:_NAMED])}{more}"


def trail(heading: tuple[str, ...]) -> str:
    """Return a heading trail as one string, outermost first."""
    return " > ".join(heading)


def to_json(value: dict[str, Any], *, indent: bool = False) -> str:
    """Return one JSON object and a line end, escaped for terminals without changing a value."""
    return escape_json(json.dumps(value, ensure_ascii=False, indent=2 if indent else None)) + "\n"


def cosine_text(score: float | None) -> str:
    """Return a cosine as it is shown; of a passage that waits to be embedded, that it was found by words."""
    return "by words" if score is None else f"{score:.3f}"


def rounded(score: float | None) -> float | None:
    """Return a cosine or a distance as JSON has it."""
    return None if score is None else round(float(score), 6)


def best_by(hit: Hit) -> Literal["cosine", "words"]:
    """Return by what the best sentences of a hit were found."""
    return "cosine" if hit.best else "words"


def hit_object(hit: Hit, words: Words) -> dict[str, Any]:
    """Return a hit as a JSON object; ``rerank`` only where it was reranked, ``why`` only with ``explain``.

    ``score`` and ``l2`` are null while the passage waits to be embedded.

    The best sentences come best first; their ``score`` is their own cosine, or null where they were found by words.
    """
    passage, signals = hit.passage, hit.signals
    reread = {} if hit.rerank is None else {"rerank": round(hit.rerank, 6)}
    found: dict[str, Any] = {
        "rank": hit.rank,
        "path": passage.file.absolute_path,
        "lines": [passage.first_line, passage.last_line],
        "page": passage.page,
        "heading": trail(passage.heading),
        "title": passage.file.title,
        "score": rounded(hit.score),
        "l2": rounded(hit.l2),
        "text": passage.text,
        "id": passage.id,
        "changed": hit.changed,
        "place": passage.place,
        "alike": [
            {
                "path": one.passage.file.absolute_path,
                "lines": [one.passage.first_line, one.passage.last_line],
                "score": rounded(one.score),
            }
            for one in hit.duplicates
        ],
        "embedded_in": [note.absolute_path for note in hit.embedded_in],
        "cosine_rank": signals.cosine_rank,
        "bm25": None if signals.bm25 is None else round(signals.bm25, 4),
        "bm25_rank": signals.bm25_rank,
        "fused": None if signals.fused is None else round(signals.fused, 4),
        "best": [
            _sentence_object(one, passage) for one in hit.best or by_words(passage.text, words, passage.file.kind)
        ],
        "best_by": best_by(hit),
        **reread,
    }
    return found | {"why": hit.why} if hit.why else found


def _sentence_object(one: Sentence, passage: StoredPassage) -> dict[str, Any]:
    score = None if one.cosine is None else round(one.cosine, 6)
    return {"text": one.text, "line": passage.first_line + one.line, "score": score}


def _freshness(index: Freshness) -> dict[str, Any]:
    as_of = index.as_of.isoformat() if index.as_of else None
    return {
        "as_of": as_of,
        "pending": index.pending,
        "watching": index.watching,
        "files": index.files,
        "words_only": index.words_only,
        "without_server": index.without_server,
    }


def answer_object(answer: Answer) -> dict[str, Any]:
    """Return an answer as a JSON object; ``reranking`` only where its hits were reranked."""
    words = words_of(answer.query)
    read_as = {"read_as": asdict(answer.read_as)} if answer.read_as else {}
    reranking = {"reranking": asdict(answer.reranking)} if answer.reranking else {}
    unfamiliar = {"unfamiliar": answer.unfamiliar} if answer.unfamiliar else {}
    return {
        "question": answer.question,
        **read_as,
        "mode": answer.mode,
        "weak": answer.weak,
        "elsewhere": answer.elsewhere,
        **_lacks(answer),
        **unfamiliar,
        "index": _freshness(answer.index),
        **reranking,
        "hits": [hit_object(hit, words) for hit in answer.hits],
    }


def _lacks(answer: Answer) -> dict[str, Any]:
    """Return what an answer lacks or leaves out, each key only where it applies."""
    nearest = answer.nearest
    found: dict[str, Any] = {}
    if nearest is not None:
        passage = nearest.passage
        found["nearest"] = {
            "path": passage.file.absolute_path,
            "lines": [passage.first_line, passage.last_line],
            "place": passage.place,
            "score": rounded(nearest.score),
        }
    if answer.below:
        found["below"] = answer.below
    if answer.parts > 1:
        found["parts"] = answer.parts
    if answer.missing:
        found["missing"] = asdict(answer.missing)
    if answer.unmatched:
        found["unmatched"] = [asdict(one) for one in answer.unmatched]
    return found


def _failures(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    return [{"path": one.absolute_path, "reason": one.reason} for one in failures]


def index_object(report: IndexReport) -> dict[str, Any]:
    """Return the report of an index run as a JSON object."""
    unread = sum(bool(REGISTRY.unread(one.path, one.reason)) for one in report.failures)
    return {
        "files": {
            "added": report.added,
            "changed": report.changed,
            "moved": report.moved,
            "removed": report.removed,
            "unchanged": report.unchanged,
            "reread": report.reread,
            "failed": len(report.failures) - unread,
            "unread": unread,
            "held": report.held,
            "waiting": report.waiting,
        },
        "passages": {
            "embedded": report.embedded,
            "reused": report.reused,
            "removed": report.dropped,
            "total": report.total,
        },
        "seconds": round(report.seconds, 3),
        "failures": _failures(report.failures),
        "interrupted": report.interrupted,
        "unembedded": report.unembedded,
        "words_only": report.words_only,
        "unsent": report.unsent,
        "dry_run": report.dry_run,
    }


def status_object(status: Status, daemon: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the status of the index as a JSON object."""
    return {
        "folders": list(status.folders),
        "store": status.store,
        "model": status.model,
        "fingerprint": status.fingerprint,
        "runtime": status.runtime,
        "generation": status.generation,
        "files": status.files,
        "passages": status.passages,
        "unembedded": status.unembedded,
        "failed": status.failed,
        "unread": status.unread,
        "replaced": status.replaced,
        "size": status.size,
        "cache_size": status.cache_size,
        "index": _freshness(status.index),
        "owner": dict(daemon) if daemon else None,
        "held": [{"folder": folder, "files": number} for folder, number in status.held],
        "set_aside": [{"name": name, "size": taken} for name, taken in status.set_aside],
        "problems": _failures(status.problems),
        "read_in_part": _failures(status.partly),
        **({"server": asdict(status.server)} if status.server else {}),
        **({"confinement": asdict(status.confinement)} if status.confinement else {}),
    }


def check_object(report: CheckReport) -> dict[str, Any]:
    """Return the report of a check as a JSON object."""
    return {
        "files": report.files,
        "passages": report.passages,
        "vectors": report.vectors,
        "differences": [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in report.differences],
        "repaired": report.repaired,
        "unembedded": report.unembedded,
    }


def rebuild_object(report: RebuildReport) -> dict[str, Any]:
    """Return the report of a rebuild as a JSON object."""
    return {
        "generation": report.generation,
        "passages": {"embedded": report.embedded, "reused": report.reused},
        "seconds": round(report.seconds, 3),
        # Always empty; kept because programs may read the key.
        "reason": "",
    }


def file_object(file: KnownFile) -> dict[str, Any]:
    """Return a file of the index as a JSON object."""
    return {
        "path": file.absolute_path,
        "state": file.state,
        "title": file.title,
        "author": file.author,
        "kind": file.kind,
        "tags": list(file.tags),
        "date": file.date.isoformat() if file.date else None,
        "language": file.language,
        "size": file.stat.size,
        "passages": file.passages,
        "reason": file.reason,
        "unread": file.unread,
    }


def link_object(one: ResolvedLink) -> dict[str, Any]:
    """Return a link as a JSON object: where it is, what is written there, and its target."""
    return {
        "path": one.source.absolute_path,
        "line": one.link.line,
        "link": one.link.target,
        "embeds": one.link.embeds,
        "target": one.target.absolute_path if one.target else None,
        "target_line": one.line,
        "problem": one.problem,
    }


def links_object(links: Links) -> dict[str, Any]:
    """Return the links from and to a file as a JSON object."""
    return {
        "path": links.file.absolute_path,
        "outgoing": [link_object(one) for one in links.outgoing],
        "incoming": [link_object(one) for one in links.incoming],
    }


def _passage_object(passage: StoredPassage) -> dict[str, Any]:
    return {
        "lines": [passage.first_line, passage.last_line],
        "page": passage.page,
        "place": passage.place,
        "heading": trail(passage.heading),
        "text": passage.text,
        "id": passage.id,
    }


def shown_object(shown: Shown) -> dict[str, Any]:
    """Return a file with its passages as a JSON object."""
    passages = [_passage_object(passage) for passage in shown.passages]
    # Replaces the "passages" of the file, which is a count.
    return file_object(shown.file) | {"changed": shown.changed, "passages": passages}


def jsonl(answer: Answer) -> str:
    """Return one hit per line, each a JSON object."""
    words = words_of(answer.query)
    return "".join(to_json(hit_object(hit, words)) for hit in answer.hits)


def to_csv(answer: Answer) -> str:
    """Return one hit per row in fixed columns, with the header even without hits.

    Control characters are made visible, since tables are read by people; JSON has the exact names.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for hit in answer.hits:
        one = hit_object(hit, Words())
        first, last = one.pop("lines")
        one |= {"first_line": first, "last_line": last, "changed": "true" if hit.changed else "false"}
        one |= {"alike": "; ".join(duplicate_places(hit, ""))}
        one |= {"path": one_line(one["path"])}
        one |= {name: one[name] if one[name] is None else f"{one[name]:.6f}" for name in ("score", "l2")}
        writer.writerow(sanitize(str(one[name])) if one[name] is not None else "" for name in CSV_COLUMNS)
    return table.getvalue()


def markdown(answer: Answer, *, cwd: str = "", full: bool = False) -> str:
    """Return a list of links, each with its cosine, heading trail and best sentences, or the whole passage."""
    words = words_of(answer.query)
    parts = [f"## {escape_markdown(one_line(answer.question))}\n"]
    for hit in answer.hits:
        passage = hit.passage
        path = passage.file.absolute_path
        place = f"{shown_path(path, cwd)}:{where(passage)}"
        facts = [cosine_text(hit.score), escape_markdown(one_line(trail(passage.heading) or passage.file.title))]
        facts += ["changed since indexed"] if hit.changed else []
        text = (
            sanitize(passage.text)
            if full
            else escape_markdown(one_line(snippet(passage.text, words, hit.best, kind=passage.file.kind).text))
        )
        quote = "".join(f"   > {line}".rstrip() + "\n" for line in text.split("\n"))
        if hit.duplicates:
            quote += f"\n   {escape_markdown(duplicates_text(hit, cwd))}\n"
        link = f"[{escape_markdown(place)}]({file_url(path)})"
        parts.append(f"{hit.rank}. {link} {' · '.join(filter(None, facts))}\n\n{quote}")
    return "\n".join(parts)


def escape_markdown(text: str) -> str:
    """Return a text with the signs of Markdown escaped."""
    return _MARKDOWN.sub(r"\\\1", text)


def paths(files: Iterable[str], *, cwd: str = "", null: bool = False, exact: bool = True) -> str:
    """Return each file's path once, in the order given.

    Args:
        files: The absolute path of each file.
        cwd: The folder that paths are shown relative to; empty shows them absolute.
        null: Whether each path ends with NUL, for ``xargs -0``.
        exact: Whether paths that end with NUL are written as they are; else control characters are made visible.
    """
    unique = dict.fromkeys(files)
    if null and exact:
        return "".join(f"{relative_path(path, cwd)}\0" for path in unique)
    return "".join(f"{shown_path(path, cwd)}{chr(0) if null else chr(10)}" for path in unique)
