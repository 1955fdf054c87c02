"""The ways to ask a knowledge base: each makes a ``SearchRequest`` from its arguments."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from kb.errors import RequestError
from kb.records import Answer, Filters, SearchRequest, mode_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kb.records import Mode, Rerank


class SearchMethods(ABC):
    """``search`` and ``similar`` of a knowledge base."""

    def search(
        self,
        question: str | SearchRequest,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters | None = None,
        mode: Mode | str | None = None,
        weak: bool | None = None,
        fold: bool | None = None,
        explain: bool = False,
        literal: bool = False,
        rerank: Rerank | None = None,
        best_seconds: float | None = 0.0,
        cwd: str = "",
        files: Iterable[int] = (),
    ) -> Answer:
        """Search for passages that answer a question, best first; empty if nothing is relevant.

        Args:
            question: The question, with optional phrases, exclusions and filters (see ``kb.search.syntax``), or a
                ``SearchRequest``, which allows no other argument.
            limit: The most hits to return. None, here and below, means the configured value.
            min_score: The lowest cosine of a hit.
            per_file: The most hits of one file; 0 for no limit.
            filters: Which files to search.
            mode: How hits are ranked: a ``Mode`` or its name.
            weak: Include hits that are no closer to the question than unrelated passages.
            fold: Return near-duplicates as ``duplicates`` of one hit.
            explain: Include the reasons for each hit's rank.
            literal: Do not parse phrases, exclusions and filters in the question.
            rerank: The model that reranks the best hits.
            best_seconds: Seconds to spend on finding the best sentences of the hits; 0 for none.
            cwd: The folder that ``path:`` in the question may also be relative to; empty for the watched folders only.
            files: The ids of the only files to search, as ``hit.passage.file.id`` has them; empty for all.

        Raises:
            RequestError: An argument is out of range, or two conflict.
        """
        request = SearchRequest(
            "" if isinstance(question, SearchRequest) else question,
            limit=limit,
            min_score=min_score,
            per_file=per_file,
            filters=filters or Filters(),
            mode=None if mode is None else mode_named(mode),
            weak=weak,
            fold=fold,
            explain=explain,
            literal=literal,
            rerank=rerank,
            best_seconds=best_seconds,
            cwd=cwd,
            files=tuple(files),
        )
        return self._answer(_alone(question, request) if isinstance(question, SearchRequest) else request)

    def similar(
        self,
        file: str,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters | None = None,
        fold: bool | None = None,
    ) -> Answer:
        """Search for passages of other files that are similar to a whole file; by default one per file.

        Args:
            file: The file: its path from the current or a watched folder, its name, alias or title.
            limit: The most hits to return. None, here and below, means the configured value.
            min_score: The lowest cosine of a hit.
            per_file: The most hits of one file; 0 for no limit.
            filters: Which files to search.
            fold: Return near-duplicates as ``duplicates`` of one hit.

        Raises:
            NotIndexed: The file is not in the index.
            RequestError: An argument is out of range.
        """
        filters = filters or Filters()
        return self._answer(
            SearchRequest(
                like=os.fspath(file), limit=limit, min_score=min_score, per_file=per_file, filters=filters, fold=fold
            )
        )

    @abstractmethod
    def _answer(self, request: SearchRequest) -> Answer:
        """Answer a request; what it leaves open has the configured value."""


def _alone(request: SearchRequest, keywords: SearchRequest) -> SearchRequest:
    """Return a request, beside which no keyword may say anything."""
    if keywords != SearchRequest():
        raise RequestError("a SearchRequest conflicts with keywords", "Put what the keywords say into the request")
    return request
