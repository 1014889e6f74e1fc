"""The methods of ChatClient, grouped by what they do."""
