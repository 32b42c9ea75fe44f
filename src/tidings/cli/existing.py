"""Whether there is a store where a URL leads, asked before opening it makes one.

A mistyped path would else be an empty store: exported, copied or found whole, it looks like
success. Only stores that lie in files are looked for: a database or a stream is asked by opening
it, and a server has its own.
"""

from __future__ import annotations

import os

from tidings.errors import StoreUnavailable

__all__ = ["ensure_exists", "missing_path"]


def ensure_exists(url: str) -> None:
    """Refuse a path where no store lies.

    Args:
        url: a store's, of any backend.

    Raises:
        StoreUnavailable: there is none.
        InvalidSetting: the URL is not usable.
    """
    path = missing_path(url)
    if path is not None:
        scheme = url.partition(":")[0]
        raise StoreUnavailable(
            f"there is no store at {path}; correct the path ({scheme}:/// leads on from the "
            f"working directory, {scheme}://// from the root), or emit an event there first "
            f"(`tidings collect` takes in what waits in the spool)"
        )


def missing_path(url: str) -> str | None:
    """The path where a URL leads and nothing lies; none where something may.

    Raises:
        InvalidSetting: the URL is not usable.
    """
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from tidings.store.sqlite import SQLiteStore

        path = SQLiteStore.from_url(url).path
        return path if _is_free(path) else None
    if scheme == "shared":
        from tidings.store.shared import replica_directory
        from tidings.store.shared.address import Address

        address = Address.from_url(url)
        is_free = _is_free(os.path.join(address.directory, "format.json"))
        # Where this machine has a replica there was a log, and the store says what became of it.
        return address.directory if is_free and _is_free(replica_directory(address)) else None
    return None


def _is_free(path: str) -> bool:
    """Whether nothing has this name; what cannot be looked at may be there."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
