"""A directory that many machines share (NFS, Lustre, GPFS, …) as the log of a replicated store.

`log` is what a replicated store asks, `place` the directory, `waiting_room` takes what is
published, `ordering` puts it in order under a `lease`, `segments` is the order, `upkeep` merges and
trims it, `snapshots` is what new replicas start from. `taking_turns` keeps the processes of one
machine from all reading the same. `files` is every touch of the shared directory, `layout` what its
files look like, `failures` turns its errors into ours.
"""

from __future__ import annotations

from tidings.store.shared.log import SharedLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.replicated.store import ReplicatedStore
    from tidings.store.shared.address import Address

__all__ = ["SharedLog", "open_shared", "replica_directory"]


def open_shared(url: str, *, deadline: float | None = None) -> ReplicatedStore:
    """The store whose log a URL such as `shared:////home/team/events` names.

    Args:
        url: three slashes lead to a path from the working directory, four to one from the root;
            `?replica=DIRECTORY` says where this machine's replica lies.
        deadline: the longest an append waits (seconds); none for `TIDINGS_DEADLINE`.

    Raises:
        InvalidSetting: the URL has no path, or an option that is not known.
        StoreUnavailable: no place for the replica can be trusted.
    """
    from tidings.store.replicated.store import ReplicatedStore
    from tidings.store.shared.address import Address

    address = Address.from_url(url)
    log = SharedLog(address.directory, replica_directory(address))
    return ReplicatedStore(log, deadline=deadline)


def replica_directory(address: Address) -> str:
    """Where this machine's replica of the store at an address lies, or would.

    Raises:
        InvalidSetting: the directory that was named for it is empty.
        StoreUnavailable: no place for it can be trusted.
    """
    from tidings.store.replicated.placing import replica_path

    name = address.directory.rpartition("/")[2]
    return replica_path(f"shared:///{address.directory}", name, address.replica)
