"""The bus a command works with: where its store is, and what waits in the spool before a read."""

from __future__ import annotations

from contextlib import contextmanager

from tidings import settings
from tidings.bus import Bus
from tidings.cli.show import say
from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.cli.command import Given

__all__ = ["collect_quietly", "is_default", "opened", "opened_to_read"]


@contextmanager
def opened(given: Given) -> Iterator[Bus]:
    """The bus that `--url` or the environment names; closed at the end."""
    with Bus(given["url"]) as bus:
        yield bus


@contextmanager
def opened_to_read(given: Given) -> Iterator[Bus]:
    """The same bus, once what waits in the spool has been moved into its store.

    What waits is meant for the default store. It is left alone where `--url` names another one,
    which may be a backup, a copy or a replica that somebody only looks at.
    """
    with opened(given) as bus:
        if is_default(given):
            collect_quietly(bus)
        yield bus


def is_default(given: Given) -> bool:
    """Whether a command works with the store that the environment names."""
    return given["url"] in {None, settings.default_url()}


def collect_quietly(bus: Bus) -> bool:
    """Move what waits in the spool into the store; what hinders is said, and reading goes on.

    Returns:
        Whether nothing hindered.
    """
    try:
        rejected = bus.collect().rejected if bus.spool.waiting() else 0
    except TidingsError as error:
        say(f"what waits in the spool is not shown: {error}")
        return False
    if rejected:
        say(f"{rejected} files in the spool are no events; `tidings collect` says more")
    return True
