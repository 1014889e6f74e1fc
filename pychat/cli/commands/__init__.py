"""Commands for users of a chat, grouped by concept. Heavy imports are inside the functions."""
