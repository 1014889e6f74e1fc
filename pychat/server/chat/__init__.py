"""What chat means: accounts, delivery, presence, rooms, limits. Knows no aiohttp and no SQL."""
