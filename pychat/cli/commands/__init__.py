"""The subcommands, one module each. Heavy imports are inside the functions."""
