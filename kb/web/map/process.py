"""Lays out the map in a child process of low priority, which can be ended at any time.

Messages are msgpack with their length before them. The child takes the files that are laid out together, then the
others in portions, and at the end of its input answers with the whole layout.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec
import numpy as np

from kb.system.processes import apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_LENGTH: Final = 8
# As for the threads that index: questions go first, and the map is made all the same on a busy machine.
_NICE: Final = 5


class Portion(msgspec.Struct, frozen=True, array_like=True):
    """Some files.

    Attributes:
        ids: Their ids.
        dimension: The length of a vector.
        vectors: Their vectors, of 32-bit numbers.
        texts: Their first words.
    """

    ids: list[int]
    dimension: int
    vectors: bytes
    texts: list[str]

    @classmethod
    def of(cls, ids: Sequence[int], vectors: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> Portion:
        """Return a portion of files."""
        data = np.stack(vectors).astype("<f4") if vectors else np.empty((0, 0), "<f4")
        # What cannot be written in UTF-8 is no word.
        readable = [text.encode("utf-8", "ignore").decode() for text in texts]
        return cls(list(ids), data.shape[1], data.tobytes(), readable)

    def matrix(self) -> NDArray[np.float32]:
        """The vectors, one a row."""
        return np.frombuffer(self.vectors, "<f4").reshape(len(self.ids), self.dimension)


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """Where files lie.

    Attributes:
        ids: Their ids.
        places: The positions of each, whole numbers from 0 to ``SIZE``.
        clusters: The cluster of each.
        words: The distinctive words of each cluster.
    """

    ids: list[int]
    places: list[tuple[int, int]]
    clusters: list[int]
    words: list[tuple[str, ...]]


class LayoutFailed(Exception):
    """The child ended without an answer."""


class LayoutProcess:
    """A child that lays out a map."""

    def __init__(self) -> None:
        # Half of the cores: questions have the others.
        threads = str(max(1, (os.cpu_count() or 1) // 2))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "kb.web.map.process"],
            cwd="/",
            env=os.environ | limits | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **apart(),
        )
        self._ending = threading.Lock()

    def lay_out(self, portions: Iterable[Portion]) -> Layout:
        """Send the files, those that are laid out together first, and return the layout.

        Raises:
            LayoutFailed: The child ended without an answer, or was ended.
        """
        assert self._child.stdin is not None  # noqa: S101 - both are pipes
        assert self._child.stdout is not None  # noqa: S101 - the same
        try:
            with self._child.stdin as stream:
                for portion in portions:
                    _send(stream, msgspec.msgpack.encode(portion))
            data = _received(self._child.stdout)
        except (BrokenPipeError, ConnectionError) as error:
            raise LayoutFailed("the process that lays out the map ended") from error
        finally:
            self.end()
            self._child.stdout.close()
        if data is None:
            raise LayoutFailed("the process that lays out the map ended")
        return msgspec.msgpack.decode(data, type=Layout)

    def end(self) -> None:
        """End the child, from any thread. Ending it again is allowed."""
        with self._ending:
            self._child.kill()
            self._child.wait()


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(_LENGTH, "little"))
    stream.write(data)
    stream.flush()


def _received(stream: IO[bytes]) -> bytes | None:
    """Return the next message; None at the end of the stream."""
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    size = int.from_bytes(length, "little")
    data = stream.read(size)
    return data if len(data) == size else None


def main() -> None:
    """Answer one parent."""
    from kb.web.map.layout import beside, clustered, laid_out
    from kb.web.map.words import distinctive_words, words_of_text

    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(_NICE)
    first = _received(sys.stdin.buffer)
    if first is None:
        return
    portion = msgspec.msgpack.decode(first, type=Portion)
    known = portion.matrix()
    laid = laid_out(known)
    ids, places = list(portion.ids), [laid]
    words = [words_of_text(text) for text in portion.texts]
    while (data := _received(sys.stdin.buffer)) is not None:
        portion = msgspec.msgpack.decode(data, type=Portion)
        ids += portion.ids
        places.append(beside(portion.matrix(), portion.ids, known, laid))
        words += map(words_of_text, portion.texts)
    everywhere = np.concatenate(places)
    clusters = clustered(everywhere)
    told = distinctive_words(words, clusters.tolist(), int(clusters.max()) + 1)
    rounded = [(round(x), round(y)) for x, y in everywhere.tolist()]
    _send(sys.stdout.buffer, msgspec.msgpack.encode(Layout(ids, rounded, clusters.tolist(), told)))


if __name__ == "__main__":
    main()
