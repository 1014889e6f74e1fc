"""Packets, payloads and frames as bytes and text, sans-I/O."""
