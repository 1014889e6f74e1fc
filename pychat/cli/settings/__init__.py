"""Settings: pychat.toml, environment variables and options."""
