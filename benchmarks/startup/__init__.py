"""How long the commands take to be there: ``python -m benchmarks.startup``."""
