"""Where events are kept: the contract (`base`) and the backends that fulfil it.

`open_store` finds the backend a URL names. Backends know the contract, never each other, and are
imported only when a URL asks for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

from tidings.errors import InvalidSetting, shorten

__all__ = ["open_store"]


def open_store(url: str, *, deadline: float | None = None) -> Store:
    """Open the store a URL names, and make it where it does not exist yet.

    Args:
        url: `sqlite:///relative/or//absolute/path`, `memory:`, `postgresql://user@host/database`,
            `nats://host1,host2/NAME`, `shared:///directory`, or `http://host:8765` (also `https:`)
            for the store that a server keeps.
        deadline: the longest an append waits for locks and connections (seconds); left out, the
            setting `TIDINGS_DEADLINE`, 1 s.

    Raises:
        InvalidSetting: the URL names no backend.
        MissingExtra: its driver is not installed.
        StoreUnavailable: the store cannot be opened; the subclass says why.
    """
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from tidings.store.sqlite import SQLiteStore

        return SQLiteStore.from_url(url, deadline=deadline)
    if scheme == "memory":
        from tidings.store.memory import MemoryStore

        return MemoryStore()
    if scheme in ("http", "https"):
        from tidings.store.remote import RemoteStore

        return RemoteStore(url, deadline=deadline)
    if scheme in ("postgresql", "postgres"):
        from tidings.store.postgres import PostgresStore

        return PostgresStore.from_url(url, deadline=deadline)
    if scheme in ("nats", "tls"):
        from tidings.store.jetstream import open_jetstream

        return open_jetstream(url, deadline=deadline)
    if scheme == "shared":
        from tidings.store.shared import open_shared

        return open_shared(url, deadline=deadline)
    from tidings.masking import masked

    raise InvalidSetting(
        f"store URL {shorten(masked(url))} names no backend; use sqlite:///path, memory:, "
        f"postgresql://…, nats://host/NAME, shared:///directory or http://host:port"
    )
