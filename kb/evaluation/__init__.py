"""Evaluation of search quality, and benchmarks on the user's own notes."""
