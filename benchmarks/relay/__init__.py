"""The relay benchmark: pychat beside Node's Socket.IO 4.8, in one run (docs/performance.md)."""
