"""What the client keeps: cache and outbox."""
