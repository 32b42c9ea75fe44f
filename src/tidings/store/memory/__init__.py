"""The store in memory: `store` is its face and its lock, `log` what it holds, `backup_file` a copy.

It is the reference for what a store does, and a fast one for users' tests.
"""

from tidings.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
