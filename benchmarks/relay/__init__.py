"""The relay benchmark: pychat beside Node's Socket.IO 4.8 (docs/explanation/performance.md)."""
