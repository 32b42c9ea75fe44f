"""The bus a command works with: where its store is, and what waits in the spool before a read."""

from __future__ import annotations

import os
from contextlib import contextmanager

from tidings import settings
from tidings.bus import Bus
from tidings.cli.existing import ensure_exists, missing_path
from tidings.cli.show import say
from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.cli.command import Given

__all__ = ["collect_quietly", "is_default", "opened", "opened_if_there", "opened_to_read"]


@contextmanager
def opened(given: Given) -> Iterator[Bus]:
    """The bus that `--url` or the environment names; closed at the end."""
    with Bus(given["url"]) as bus:
        yield bus


@contextmanager
def opened_if_there(given: Given) -> Iterator[Bus]:
    """The same bus, for what makes no sense with a store that would only be made by it.

    Raises:
        StoreUnavailable: there is no store.
    """
    ensure_exists(_url(given))
    with opened(given) as bus:
        yield bus


@contextmanager
def opened_to_read(given: Given, *, must_exist: bool = False) -> Iterator[Bus]:
    """The same bus, once what waits in the spool has been moved into its store.

    What waits is meant for the default store. It is left alone where `--url` names another one,
    which may be a backup, a copy or a replica that somebody only looks at. Where somebody named a
    store that is not there yet, they are told before it is made.

    Raises:
        StoreUnavailable: it must exist and does not.
    """
    with opened(given) as bus:
        if is_default(given):
            collect_quietly(bus)
        if must_exist:
            ensure_exists(_url(given))
        elif given["url"] or os.environ.get("TIDINGS_URL"):
            _say_if_missing(given)
        yield bus


def _say_if_missing(given: Given) -> None:
    path = missing_path(_url(given))
    if path is not None:
        say(f"there was no store at {path}: an empty one is made")


def _url(given: Given) -> str:
    return settings.default_url() if given["url"] is None else given["url"]


def is_default(given: Given) -> bool:
    """Whether a command works with the store that the environment names."""
    return given["url"] in {None, settings.default_url()}


def collect_quietly(bus: Bus, *, told: bool = False) -> bool:
    """Move what waits in the spool into the store; what hinders is said, and reading goes on.

    Args:
        bus: the bus on that store.
        told: whether it was said before what hinders.

    Returns:
        Whether nothing hindered.
    """
    try:
        rejected = bus.collect().rejected if bus.spool.waiting() else 0
    except TidingsError as error:
        if not told:
            say(f"what waits in the spool is not shown: {error}")
        return False
    if rejected:
        say(f"{rejected} files in the spool are no events; `tidings collect` says more")
    return True
