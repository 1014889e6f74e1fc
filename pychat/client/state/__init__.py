"""The client's view of the chat: conversations, messages, cursors, typing."""
