"""Benchmark results: reading, comparing, judging. Standard library only; used by scripts/bench and its siblings."""
