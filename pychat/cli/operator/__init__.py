"""Commands for operators: the server, its accounts and its store."""
