"""WebSocket beside polling: latency and header bytes a message (docs/explanation/transports.md)."""
