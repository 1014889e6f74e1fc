"""Local data of the client: cache, outbox and files in the user's directories."""
