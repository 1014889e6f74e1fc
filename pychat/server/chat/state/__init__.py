"""State that the chat keeps in memory: users online, conversations, members."""
