"""Real-time chat in the terminal and the browser, over Socket.IO."""
