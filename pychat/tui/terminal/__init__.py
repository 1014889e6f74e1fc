"""Access to the terminal: driver, keyboard, capabilities, notifications."""
