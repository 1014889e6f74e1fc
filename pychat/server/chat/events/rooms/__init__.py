"""``room``: rooms and their members."""
