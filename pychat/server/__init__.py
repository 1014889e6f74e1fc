"""The chat server: engine, store and chat, put together by ChatServer."""
