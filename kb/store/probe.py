"""Tests a vector index in a child process, since a torn one can crash or hang the process that opens it.

``probe`` is for the process that holds the lock, after ChromaDB was not closed properly. The child runs this file as a
program and prints the result as one line of JSON.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from kb import errors
from kb.errors import KbError, StoreDamaged, StoreError
from kb.own_files import store_error_for
from kb.system.processes import end_with_parent, import_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.ports import VectorIndex

SPREAD: Final = 250
NEWEST: Final = 250
EVERY_ONE: Final = 5_000
QUESTIONS: Final = 50
# In a sound graph one node in thousands may be unreachable; a torn one loses many. In a small graph each one counts,
# since a rebuild takes no time.
MISSES_ALLOWED: Final = 2
# The more neighbours a query asks for, the more of the graph it visits.
NEIGHBOURS: Final = 400
# ChromaDB stores unit vectors in float32, and a vector may have near-equal neighbours.
UNIT_TOLERANCE: Final = 1e-5
SELF_TOLERANCE: Final = 1e-3
GRACE_SECONDS: Final = 1.0
# From here on, the exit codes of Windows are errors that ended a process; other systems have none so large.
_WINDOWS_CRASHES: Final = 0xC0000000
# ChromaDB may hang in native code. A million vectors take more than two minutes to compare, and an hour to write anew.
_LEAST_SECONDS: Final = 120.0
# The header of a graph: version, offset of the links, room, number of nodes, bytes of a node, offsets of its record's
# label and of its vector, highest level, first node, most links of a node above the lowest level and on it, links made
# for a new node, a factor, and how many nodes are visited for that.
_HEADER: Final = struct.Struct("<i6QiI3QdQ")
# The bytes of a link and of a number of links, and those of a label.
_NUMBER: Final = 4
_LABEL: Final = 8
_SECONDS_A_VECTOR: Final = 0.0012


def longest(vectors: int) -> float:
    """The seconds after which a probe of so many vectors is taken to hang."""
    return max(_LEAST_SECONDS, vectors * _SECONDS_A_VECTOR)


def probe(directory: str, collection: str, timeout: float) -> str | None:
    """What is wrong with an index, for messages; None if it is sound.

    Args:
        directory: The directory of ChromaDB's files. The caller holds the lock and has closed them.
        collection: The name of the collection.
        timeout: The seconds after which the child is killed.

    Raises:
        ForeignStore: kb did not create the store.
        StoreError: It could not be tested for another reason, such as a full disk.
    """
    if not Path(directory).is_dir():
        return "its directory is missing"
    with _started(directory, collection, timeout) as child:
        try:
            # The pipe to the child stays open, so that it exits when its parent, which holds the lock, is gone.
            status = child.wait(timeout)
        except BaseException as error:
            child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                return f"the probe did not finish within {timeout:g} seconds"
            raise
        output = child.stdout.read() if child.stdout is not None else b""
    return _verdict(status, output)


def _started(directory: str, collection: str, timeout: float) -> subprocess.Popen[bytes]:
    """Start the child that probes an index.

    Raises:
        StoreError: The process cannot be started, or the directory cannot be entered.
    """
    command = [sys.executable, "-P", "-m", "kb.store.probe", directory, collection, str(timeout)]
    try:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | {"PYTHONPATH": import_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise store_error_for(f"the vector index in {directory}", error, directory) from error


def examine(index: VectorIndex) -> str | None:
    """What is wrong with an open index; None if nothing was found."""
    ids = list(index.ids())
    if len(set(ids)) != len(ids):
        return "it lists an id twice"
    if (count := index.count()) != len(ids):
        return f"it counts {count} records and lists {len(ids)}"
    sample = ids if len(ids) <= EVERY_ONE else [*_spread(ids[:-NEWEST], SPREAD), *ids[-NEWEST:]]
    vectors = index.vectors(sample)
    if missing := [id_ for id_ in sample if id_ not in vectors]:
        return f"{len(missing)} of {len(sample)} records have no vector"
    if wrong := [id_ for id_, vector in vectors.items() if not _is_unit(vector)]:
        return f"{len(wrong)} of {len(sample)} vectors are not of length 1"
    return _confused(index, ids, {id_: vectors[id_] for id_ in sample})


def main(arguments: Sequence[str]) -> int:
    """Test one index and print the result; the exit code is 0 even if it is damaged."""
    directory, collection, timeout = arguments
    # A call that hangs inside ChromaDB may block all Python threads; this timer runs outside of Python.
    faulthandler.dump_traceback_later(float(timeout) + GRACE_SECONDS, exit=True)
    # It depends on the lock that its parent holds.
    end_with_parent()
    try:
        reason = _examine_store(directory, collection)
    except StoreDamaged as error:
        found = {"reason": error.message}
    except KbError as error:
        found = {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}
    else:
        found = {"reason": reason or ""}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    return 0


def _examine_store(directory: str, collection: str) -> str | None:
    # Imported here, because only the child loads ChromaDB.
    from kb.store.local_chroma import inspect_index

    if wrong := wrong_links(Path(directory)):
        return wrong
    index = inspect_index(directory, collection)
    try:
        return examine(index)
    finally:
        index.close()


def wrong_links(directory: Path) -> str | None:
    """What is wrong with the links between the nodes of a graph; None if nothing is.

    A link that leads nowhere crashes the process of the question that follows it, and few questions may. The layout is
    that of hnswlib's ``saveIndex``, which ChromaDB writes into several files; what is of another layout is left to it.

    Args:
        directory: The directory of ChromaDB's files.
    """
    return next(filter(None, (_wrong_in_graph(header.parent) for header in directory.glob("*/header.bin"))), None)


def _wrong_in_graph(folder: Path) -> str | None:
    header, below, above = (folder / f"{name}.bin" for name in ("header", "data_level0", "link_lists"))
    if not below.is_file() or not above.is_file() or header.stat().st_size != _HEADER.size:
        return None
    version, begin, _, count, size, at_label, *_, most_above, most, _, _, _ = _HEADER.unpack(header.read_bytes())
    if version != 1 or begin + _links_size(most) > size or not count * size == below.stat().st_size > 0:
        return None
    nodes = np.memmap(below, np.uint8, "r", shape=(count, size))
    labels = np.ascontiguousarray(nodes[:, at_label : at_label + _LABEL]).view(np.uint64)
    if len(np.unique(labels)) < count:
        return "two nodes of its graph are the same record"
    upper = _upper_links(above.read_bytes(), count, _links_size(most_above))
    if upper is None:
        return "the links of its graph do not end where its file does"
    lists = (nodes[:, begin : begin + _links_size(most)], upper)
    return "links of its graph lead nowhere" if any(_lead_nowhere(one, count) for one in lists) else None


def _links_size(most: int) -> int:
    """How many bytes a list of links has: their number, and room for the most there can be."""
    return _NUMBER * (most + 1)


def _upper_links(data: bytes, nodes: int, size: int) -> NDArray[np.uint8] | None:
    """The lists of links above the lowest level, each of a size, which stand behind their length for each node."""
    lists, at = bytearray(), 0
    for _ in range(nodes):
        length = int.from_bytes(data[at : at + _NUMBER], "little")
        at += _NUMBER
        lists += data[at : at + length]
        at += length
    if at != len(data) or len(lists) % size:
        return None
    return np.frombuffer(lists, np.uint8).reshape(-1, size)


def _lead_nowhere(lists: NDArray[np.uint8], nodes: int) -> bool:
    """Whether a list of links is longer than it can be, or has a link to a node that does not exist.

    Args:
        lists: The lists: a count of two bytes, two other bytes, and the links, of four bytes each.
        nodes: The number of nodes.
    """
    counts = np.ascontiguousarray(lists[:, :2]).view(np.uint16)
    links = np.ascontiguousarray(lists[:, 4:]).view(np.uint32)
    used = np.arange(links.shape[1]) < counts
    return bool((used & (links >= nodes)).any() or (counts > links.shape[1]).any())


def _confused(index: VectorIndex, ids: Sequence[str], vectors: dict[str, NDArray[np.float32]]) -> str | None:
    """How the answers of an index differ from its records, for a sample of vectors."""
    small = len(ids) <= NEIGHBOURS
    if small and ids and (odd := set(ids) ^ set(index.query(vectors[ids[0]], len(ids)).ids)):
        # The file that maps nodes of the graph to records may be torn while the graph is intact.
        return f"{len(odd)} of {len(ids)} records are listed and not found, or found and not listed"
    questions = _spread(list(vectors), QUESTIONS)
    lost = lost_among(index, [vectors[id_] for id_ in questions])
    if lost > (0 if small else MISSES_ALLOWED):
        return f"{lost} of {len(questions)} vectors do not find themselves"
    return None


def lost_among(index: VectorIndex, vectors: Sequence[NDArray[np.float32]], neighbours: int = NEIGHBOURS) -> int:
    """How many of some stored vectors are not found by a search with themselves.

    Args:
        index: The index.
        vectors: The vectors.
        neighbours: How many neighbours are asked for; with more of them more of the graph is visited.
    """
    return sum(not _finds_itself(index, vector, neighbours) for vector in vectors)


def _verdict(status: int, output: bytes) -> str | None:
    """The result of the child, from its exit status and its output."""
    if status < 0:
        return f"the probe crashed ({_signal_name(-status)})"
    if status >= _WINDOWS_CRASHES:
        return f"the probe crashed ({status:#x})"
    try:
        found = json.loads(output)
    except ValueError:
        raise StoreError(
            f"the vector index could not be probed: the child process ended with exit code {status}",
            "Run the command again, or kb rebuild to make the index again",
        ) from None
    if "error" in found:
        raise getattr(errors, found["error"])(found["message"], found["remedy"])
    return found["reason"] or None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _spread(items: Sequence[str], number: int) -> list[str]:
    """Choose a number of items, evenly spread."""
    if len(items) <= number:
        return list(items)
    return [items[round(position)] for position in np.linspace(0, len(items) - 1, number)]


def _is_unit(vector: NDArray[np.float32]) -> bool:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return abs(length - 1.0) <= UNIT_TOLERANCE


def _finds_itself(index: VectorIndex, vector: NDArray[np.float32], neighbours: int) -> bool:
    """Whether a search with a stored vector finds a nearly equal one."""
    nearest = index.query(vector, neighbours).vectors
    return len(nearest) > 0 and float(nearest[0] @ vector) >= 1.0 - SELF_TOLERANCE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
