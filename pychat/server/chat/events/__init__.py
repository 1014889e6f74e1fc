"""Handlers of the client's events, one module for each event or closely related events."""
