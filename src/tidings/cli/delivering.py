"""What commands say about who delivers: it is none of them, so a process must run that does."""

from __future__ import annotations

from tidings.cli.show import say
from tidings.subscriptions.leases import WORKERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.base import Store

__all__ = ["say_what_is_needed"]


def say_what_is_needed(store: Store, what: str) -> None:
    """Tell the user that something begins only once a process delivers, where none has signed on.

    Args:
        store: what is delivered; a server delivers its own by itself.
        what: what begins then.
    """
    behind_server = store.url.startswith(("http://", "https://"))
    if not behind_server and not store.keys(WORKERS, limit=1):
        say(f"{what} once `tidings serve` or `tidings worker` runs on this store")
