"""Deterministic simulation: a server, its store, its network and its clients in one process.

Everything that may happen in another order or at another time is drawn from a seed, so that a
failure replays exactly. CONTRIBUTING.md says how to run it.
"""
