"""What kb claims about speed, reuse, quality and memory, measured by ``python -m benchmarks``."""
