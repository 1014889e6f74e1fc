"""Engine.IO 3 and 4 over aiohttp, and the Socket.IO dispatcher on it. Knows no chat."""
