"""The command line: commands, settings, credentials and output."""
