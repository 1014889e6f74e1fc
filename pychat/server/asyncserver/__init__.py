"""python-socketio's AsyncServer on this engine."""
