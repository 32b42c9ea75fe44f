"""Stores behind NATS JetStream: a stream is the log, every machine has a replica.

    address      what a URL says
    log          the log, as `replicated` wants it
    loop         the thread in which nats-py lives
    connection   one connection, made again when it is lost
    stream       the stream: made, looked at, refused
    publishing   entries in, each once and in order
    following    entries out, without a hole
    buffer       what came and waits to be read
    snapshots    what new machines begin with
    failures     errors of NATS as ours

nats-py is loaded when a store is opened, not when this package is.
"""

from __future__ import annotations

from tidings.errors import MissingExtra
from tidings.store.jetstream.address import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.replicated.store import ReplicatedStore

__all__ = ["open_jetstream"]


def open_jetstream(url: str, deadline: float | None = None) -> ReplicatedStore:
    """Open the store a URL such as `nats://host1,host2/NAME?replicas=3` names.

    Args:
        url: servers, the store's name, and options; see docs/how-to/nats.md.
        deadline: the longest a write waits (seconds); none for `TIDINGS_DEADLINE`, 1 s.

    Raises:
        InvalidSetting: the URL is not usable.
        MissingExtra: nats-py is not installed.
    """
    address = Address.from_url(url)
    try:
        from tidings.store.jetstream.log import JetStreamLog
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "nats":
            raise
        raise MissingExtra("a store behind NATS", "nats") from error
    from tidings.store.replicated.placing import replica_path
    from tidings.store.replicated.store import ReplicatedStore

    path = replica_path(address.plain, address.name, address.replica)
    return ReplicatedStore(JetStreamLog(address, path), deadline=deadline)
