"""Limits per client address, before and beside the engine. Imports no engine and no chat."""
