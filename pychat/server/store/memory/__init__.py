"""The store in memory. Its content is lost when the process ends."""

from pychat.server.store.memory.store import MemoryStore as MemoryStore
