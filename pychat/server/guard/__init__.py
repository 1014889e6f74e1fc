"""Limits per client address, before and beside the engine. Knows no engine and no chat."""
