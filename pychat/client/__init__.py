"""The headless chat client: what the terminal, bots and scripts are built on."""
