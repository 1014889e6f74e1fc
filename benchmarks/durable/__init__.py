"""Every message on disk before its answer: pychat beside Node (docs/explanation/performance.md)."""
