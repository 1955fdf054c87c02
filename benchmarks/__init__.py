"""Benchmarks of speed, reuse, quality and memory; run with ``python -m benchmarks``."""

from kb.silence import silence_libraries

# Before any benchmark imports a library.
silence_libraries()
