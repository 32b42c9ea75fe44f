"""`tidings doctor`: whether Tidings can work here, and the remedy where it cannot.

It looks and measures; beside what any command makes on its first use (the store, its directory) it
leaves nothing behind.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter
from typing import NamedTuple

from tidings import settings
from tidings.cli import originals
from tidings.cli.command import Command
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.help import version
from tidings.cli.opening import opened
from tidings.cli.show import Display, printable
from tidings.errors import TidingsError
from tidings.filesystems import network_file_system
from tidings.masking import masked
from tidings.subscriptions.leases import WORKERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tidings.bus import Bus
    from tidings.cli.command import Given
    from tidings.store.base import Store

__all__ = ["COMMANDS"]

_LITTLE_SPACE = 256 * 1024 * 1024
_SETTINGS: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("TIDINGS_HOME", settings.home),
    ("TIDINGS_URL", lambda: masked(settings.default_url())),
    ("TIDINGS_SPOOL", settings.spool_directory),
    ("TIDINGS_DEADLINE", settings.deadline),
    ("TIDINGS_MAX_PAYLOAD", settings.max_payload),
    ("TIDINGS_STATE_DIR", settings.state_directory),
    ("TIDINGS_SCHEMA_CHECK", settings.schema_check),
)
_DELIVERED = (
    ("subscription/", "handler", "handlers"),
    ("webhook/", "webhook", "webhooks"),
    ("notice/", "notice", "notices"),
    ("watch/", "watch", "watches"),
)
_EXTRAS = {
    "server": "uvicorn",
    "mcp": "mcp",
    "webhooks": "aiohttp",
    "notify": "apprise",
    "postgres": "psycopg",
    "nats": "nats",
    "schema": "jsonschema",
}
"""A module that each brings."""

_API = ("TIDINGS_API_URL", "TIDINGS_API_KEY")


class _Finding(NamedTuple):
    """One thing looked at: what it is, whether it is well, what was found, and what to do."""

    about: str
    well: bool
    found: str
    remedy: str = ""


def _doctor(given: Given) -> int:
    display = Display(given, live=True)
    well = True
    for finding in _findings(given):
        well = well and finding.well
        display.record(finding._asdict(), _words(display, finding))
    return DONE if well else NO


def _findings(given: Given) -> Iterator[_Finding]:
    yield _Finding("tidings", True, f"{version()}, Python {sys.version.split()[0]}")
    yield _extras()
    yield from (_Finding("drop-ins", *found) for found in originals.look())
    yield from map(_setting, _SETTINGS)
    try:
        with opened(given) as bus:
            yield _store(bus)
            yield _spool(bus)
            if not bus.url.startswith(("http://", "https://")):  # else the server's own doctor
                yield _delivery(bus.store)
            yield from _forward(bus.store)
    except TidingsError as error:
        yield _Finding("store", False, str(error))
    for directory in dict.fromkeys((settings.home(), settings.spool_directory())):
        yield from _place(directory)
    yield _surroundings()


def _setting(setting: tuple[str, Callable[[], Any]]) -> _Finding:
    name, read = setting
    origin = "set" if os.environ.get(name) else "default"
    try:
        value = read()
    except TidingsError as error:
        return _Finding(name, False, str(error), f"set {name} to what it may be, or unset it")
    return _Finding(name, True, f"{'nothing' if value is None else value} ({origin})")


def _store(bus: Bus) -> _Finding:
    start = perf_counter()
    try:
        facts = bus.store.describe()
    except TidingsError as error:
        return _Finding("store", False, str(error), "until then events wait in the spool")
    took = (perf_counter() - start) * 1000
    facts["url"] = masked(str(facts["url"]))  # a store of others may not have thought of it
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    return _Finding("store", True, f"{said}; answered in {took:.1f} ms")


def _spool(bus: Bus) -> _Finding:
    try:
        waiting = bus.spool.waiting()
    except TidingsError as error:
        return _Finding("spool", False, str(error))
    found = f"{waiting:,} events wait in {bus.spool.directory}"
    return _Finding("spool", True, found, "tidings collect moves them" if waiting else "")


def _delivery(store: Store) -> _Finding:
    try:
        kinds = [(len(store.keys(prefix)), one, many) for prefix, one, many in _DELIVERED]
        processes = len(store.keys(WORKERS))
    except TidingsError as error:
        return _Finding("delivery", False, str(error))
    there = ", ".join(
        f"{count:,} {one if count == 1 else many}" for count, one, many in kinds if count
    )
    if not there:
        return _Finding("delivery", True, "nothing is to be delivered")
    found = f"{there}; signed on for them: {processes:,}"
    remedy = "" if processes else "`tidings serve` or `tidings worker` delivers"
    return _Finding("delivery", True, found, remedy)


def _forward(store: Store) -> Iterator[_Finding]:
    """What is forwarded to a cloud, where anything is said of that."""
    from tidings.forward import state_of
    from tidings.forward.posting import is_address

    addresses = [url for url, _ in settings.api_targets()]
    if not addresses:
        for name, other in (_API, _API[::-1]):
            if os.environ.get(name):
                found = f"nothing is forwarded: {name} is set, and {other} is not"
                yield _Finding("forward", True, found)
        return
    for url in addresses:
        if not is_address(url):
            found = f"events cannot be forwarded to {masked(url)}"
            yield _Finding("forward", False, found, "its setting must begin with https://")
            return
    try:
        waiting, refused = state_of(store)
    except TidingsError as error:
        yield _Finding("forward", False, str(error))
        return
    to = " and ".join(map(masked, addresses))
    found = f"to {to}: {waiting:,} events wait, {refused:,} were put aside"
    yield _Finding("forward", True, found, "tidings collect sends them" if waiting else "")


def _extras() -> _Finding:
    from importlib.util import find_spec

    there = [name for name, module in _EXTRAS.items() if find_spec(module) is not None]
    missing = [name for name in _EXTRAS if name not in there]
    found = f"installed: {', '.join(there) or 'none'}"
    remedy = f"pip install 'tidings[EXTRA]' adds {', '.join(missing)}" if missing else ""
    return _Finding("extras", True, found, remedy)


def _place(directory: str) -> Iterator[_Finding]:
    there = directory
    while not os.path.isdir(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    yield _file_system(directory)
    yield _space(directory, there)
    yield _durable_write(directory, there)


def _file_system(directory: str) -> _Finding:
    kind = network_file_system(directory)
    if kind is None:
        return _Finding("file system", True, f"{directory} is local, as far as the mounts tell")
    return _Finding(
        "file system",
        True,
        f"{directory} is shared ({kind}): good for a spool and a shared log, not for SQLite",
        "for a faster store let TIDINGS_URL name one on a local disk, a server or a database",
    )


def _space(directory: str, there: str) -> _Finding:
    try:
        facts = os.statvfs(there)
    except OSError as error:
        return _Finding("disk space", False, f"{directory}: {error}")
    free = facts.f_bavail * facts.f_frsize
    full = free < _LITTLE_SPACE or (facts.f_files > 0 and facts.f_favail == 0)
    found = f"{free / 1e9:.1f} GB and {facts.f_favail:,} files free for {directory}"
    remedy = "free space, or move TIDINGS_HOME; prune removes old events" if full else ""
    return _Finding("disk space", not full, found, remedy)


def _durable_write(directory: str, there: str) -> _Finding:
    path = os.path.join(there, f".tidings-doctor-{os.getpid()}")
    start = perf_counter()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(path)
    except OSError as error:
        remedy = "check the rights of the directory, or move TIDINGS_HOME or TIDINGS_SPOOL"
        return _Finding("durable write", False, f"{directory}: {error}", remedy)
    took = (perf_counter() - start) * 1000
    return _Finding("durable write", True, f"{took:.1f} ms in {there}")


def _surroundings() -> _Finding:
    from tidings.context import current

    context = current()
    belongs = f", events belong to {context.correlation_id}" if context.correlation_id else ""
    return _Finding("surroundings", True, f"{context.source}{belongs}")


def _words(display: Display, finding: _Finding) -> str:
    mark = (
        display.painted("well", "success") if finding.well else display.painted("BAD ", "failure")
    )
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{mark}  {finding.about:<20} {printable(finding.found + remedy)}"


COMMANDS = (
    Command(
        "doctor",
        "say whether Tidings can work here, and what to do where not",
        (),
        (),
        _doctor,
        details="Exits with 1 where something is bad.",
    ),
)
