"""Measurements, printed; run one with ``python -m benchmarks.NAME``."""
