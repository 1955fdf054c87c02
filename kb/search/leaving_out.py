"""What a question left out by its own words, counted, so that an answer can tell it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from kb.records import Asked, LeftOut
from kb.search.retrieve import retrieved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.ports import Catalog
    from kb.records import Hit, ReadAs, ResolvedRequest
    from kb.search.candidates import Gatherer, Scope
    from kb.search.question import Question

# Whether an option stands in the notes is seen from so many of the passages with its letters.
_LOOKED_AT: Final = 200
# Where everything that would be found was left out, so many are looked at.
_AHEAD: Final = 10
# As options are written: behind something on the same line, or in code.
_AS_OPTION: Final = r"""(?:[`'"(]|\S[ \t]+)-{}(?![\w-])"""


def written_as_option(word: str, catalog: Catalog) -> bool:
    """Whether a passage has ``-word`` as options are written: a list without spaces behind its signs is none."""
    pattern = re.compile(_AS_OPTION.replace("{}", re.escape(word)))
    ids = sorted(catalog.containing(word))[:_LOOKED_AT]
    return any(pattern.search(passage.text) for passage in catalog.passages(ids).values())


class Reading:
    """How a question was read and what that left out.

    Args:
        question: The question.
        scope: Which passages it is asked of.
        catalog: Knows how many files and passages there are.
    """

    def __init__(self, question: Question, scope: Scope, catalog: Catalog) -> None:
        self._question = question
        self._scope = scope
        self._catalog = catalog

    @property
    def whole(self) -> Scope:
        """The scope with what the question left out by ``-word``."""
        return replace(self._scope, without=frozenset())

    def read_as(
        self, whole: Gatherer | None = None, hits: Sequence[Hit] = (), request: ResolvedRequest | None = None
    ) -> ReadAs:
        """How the question was read, with the numbers of what that left out.

        Args:
            whole: Gathers what would be found with what was left out; None: nothing was asked.
            hits: What was found.
            request: What was asked.
        """
        question, read = self._question, self._question.read_as
        if not question.without and not question.phrases and not question.filters:
            return read
        left_out = None
        if question.without:
            out = self._among(self._scope.without)
            ahead = self._ahead(whole, out, hits, request) if whole and request and out else 0
            left_out = LeftOut(len(out), len(_files(out)), ahead)
        return replace(read, left_out=left_out, asked=self._asked())

    def _asked(self) -> Asked:
        scope = self._scope
        without = self._among(scope.without)
        if scope.only is not None:
            ids = self._among(scope.only) - without
            return Asked(len(ids), len(_files(ids)))
        files = len(scope.files) if scope.files is not None else sum(one.passages > 0 for one in self._catalog.files())
        return Asked(scope.passages - len(without), files)

    def _among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are asked, exclusions aside."""
        scope = self._scope
        files = None if scope.files is None else frozenset(scope.files)
        return frozenset(
            id_ for id_ in ids if (files is None or _file(id_) in files) and (scope.only is None or id_ in scope.only)
        )

    @staticmethod
    def _ahead(whole: Gatherer, out: frozenset[str], hits: Sequence[Hit], request: ResolvedRequest) -> int:
        """How many of the passages that were left out would come before the first hit."""
        pool = retrieved(whole, request.mode, request.candidates, request.min_score)
        best = pool.best(len(pool.ids)) if hits else pool.best(min(_AHEAD, request.limit))
        first = hits[0].passage.id if hits else ""
        return sum(id_ in out for id_ in takewhile(lambda id_: id_ != first, best))


def _files(ids: Iterable[str]) -> frozenset[int]:
    return frozenset(map(_file, ids))


def _file(id_: str) -> int:
    """The file of a passage, which the passage's id begins with (``kb.index.plan.identify``)."""
    return int(id_.partition("-")[0], 16)
