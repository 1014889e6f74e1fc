"""Whole stores as lines of JSON: export, import and check."""
