"""Client-side state of the chat: conversations, messages, cursors, typing."""
