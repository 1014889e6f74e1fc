"""The store in memory: nothing survives the process."""

from pychat.server.store.memory.store import MemoryStore as MemoryStore
