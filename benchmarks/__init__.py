"""What kb claims about speed, reuse, quality and memory, measured by ``python -m benchmarks``."""

from kb.silence import silence_libraries

# Before any benchmark imports a library by itself.
silence_libraries()
