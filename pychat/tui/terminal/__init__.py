"""The terminal itself: driver, keyboard, questions, notifications."""
