"""Connection to one server: socket, login, requests, reconnecting."""
