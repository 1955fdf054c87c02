"""Exports a model to ONNX in a child process at low priority, beside a daemon that runs the model in torch meanwhile.

The child runs this file as a program. It gets the model on standard input, which stays open, so that it ends when its
parent does. What it makes is compared with the model before it is installed, as by ``kb model export``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.embedding.onnx_files import export_folder, write_failure
from kb.embedding.spec import Located, weight_files
from kb.embedding.tokens import ModelTokens
from kb.errors import ModelError
from kb.system.memory import available_memory
from kb.system.processes import apart, end_with_parent

if TYPE_CHECKING:
    from kb.embedding.encoder import Encoder

# In multiples of the weights: the model in torch, the graph, and the graph loaded; on the disk, the graph.
_MEMORY: Final = 2.5
_DISK: Final = 1.2
# In bytes, for Python and its libraries.
_BASE: Final = 700_000_000
_NICE: Final = 15
_STOP_SECONDS: Final = 5.0


def obstacle(encoder: Encoder) -> str:
    """Why a model cannot be exported here and now, in words; empty if it can."""
    if importlib.util.find_spec("onnx") is None:
        return "the package onnx is not installed (pip install 'localkb[export]')"
    weights = sum(file.stat().st_size for file in weight_files(encoder.located.directory))
    memory, needed = available_memory(), int(weights * _MEMORY) + _BASE
    if memory is not None and memory < needed:
        return f"that takes {needed // 1_000_000:,} MB of memory, and {memory // 1_000_000:,} MB are available"
    folder = export_folder(encoder.located, encoder.models)
    there = next(parent for parent in folder.parents if parent.is_dir())
    if (free := shutil.disk_usage(there).free) < weights * _DISK:
        return f"{there} has {free // 1_000_000:,} MB of free space, and the form takes {weights // 1_000_000:,} MB"
    return ""


class BackgroundExport:
    """One export in a child process.

    Args:
        encoder: The model.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._located, self._models = encoder.located, encoder.models
        located = encoder.located
        given = {
            "directory": str(located.directory),
            "name": located.name,
            "revision": located.revision,
            "bundled": located.bundled,
            "published": located.published,
            "models": None if encoder.models is None else str(encoder.models),
        }
        # One thread: the cores belong to whoever asks and to the index run.
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "kb.embedding.background_export"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            **apart(),
        )
        assert self._child.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        with suppress(BrokenPipeError):
            self._child.stdin.write(f"{json.dumps(given)}\n".encode())
            self._child.stdin.flush()

    def finished(self) -> bool:
        """Whether the child has ended."""
        return self._child.poll() is not None

    def failure(self) -> str:
        """Why the finished export failed; empty if it succeeded. A failure is recorded, so that it is not repeated."""
        output = b"" if self._child.stdout is None else self._child.stdout.read()
        self._close()
        if self._child.returncode == 0:
            return ""
        message = output.decode("utf-8", "replace").strip() or _ended_by(self._child.returncode)
        with suppress(OSError):
            write_failure(self._located, message, self._models)
        return message

    def stop(self) -> None:
        """End the child; the next daemon begins anew."""
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _ended_by(code: int) -> str:
    """What ended a child that printed nothing."""
    if code < 0:
        return f"the process was killed by signal {-code}, as a system does that runs out of memory"
    return f"the process ended with code {code}"


def main() -> int:
    """Export the model that standard input names; prints why that failed."""
    given = json.loads(sys.stdin.readline())
    end_with_parent()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    models = given.pop("models")
    located = Located(**{**given, "directory": Path(given["directory"])})

    from kb.embedding.onnx_export import export

    try:
        export(located, ModelTokens(located.directory), models=None if models is None else Path(models))
    except (ModelError, OSError, MemoryError) as error:
        sys.stdout.write(error.message if isinstance(error, ModelError) else str(error) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
