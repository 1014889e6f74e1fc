"""Methods of ChatClient, grouped by purpose."""
