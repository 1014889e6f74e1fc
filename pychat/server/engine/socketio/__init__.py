"""Socket.IO on the engine: the namespace ``/``."""
