"""The connection to one server: socket, login, requests, reconnecting."""
