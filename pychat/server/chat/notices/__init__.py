"""Events that the server sends by itself."""
