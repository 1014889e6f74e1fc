"""Commands for users of a chat, one module each. Heavy imports are inside the functions."""
