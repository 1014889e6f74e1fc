"""Events that the server sends without a request: presence, receipts, the list of rooms."""
