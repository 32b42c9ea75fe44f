"""What the suite has other threads and processes do with a store.

Every function takes what opens the store, does its part and returns what it saw, so that the test
can judge; an error comes back by itself. Eight processes are started once and kept, because a new
interpreter for each test would take most of the suite's time. It imports neither pytest nor
Hypothesis, which those processes need not load.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from threading import Barrier
from threading import Event as Flag
from time import monotonic, sleep

from tidings.errors import RevisionConflict, VersionConflict
from tidings.event import Event
from tidings.store.base import Batch
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, TypeAlias, TypeVar

    from tidings.store.base import Store

    Opener: TypeAlias = Callable[[], AbstractContextManager[Store]]
    T = TypeVar("T")

__all__ = [
    "FORKS",
    "PATIENCE",
    "WRITERS",
    "append_one",
    "append_when_awaited",
    "await_type",
    "be_woken",
    "count_up",
    "fork_while_writing",
    "in_processes",
    "in_threads",
    "read_on",
    "same",
    "take_versions",
    "write_much",
]

WRITERS = 8
PATIENCE = 60.0
"""How long anything may take before a test fails instead of hanging (seconds)."""

FORKS = 8
_BURST = 5
_FORK_PATIENCE = 60
_SWITCH_INTERVAL = 1e-5
_start: Any = None


def same(store: Store) -> Opener:
    """What gives threads the store that is open already, and leaves it open."""
    return lambda: nullcontext(store)


def in_threads(*parts: Callable[[], T]) -> list[T]:
    """Run some functions, each in a thread of its own, all at once; gives what they return.

    Threads take turns five hundred times as often as usual, so that races are met, not missed.
    """
    barrier = Barrier(len(parts))
    usual = sys.getswitchinterval()

    def run(part: Callable[[], T]) -> T:
        barrier.wait(PATIENCE)
        return part()

    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        with ThreadPoolExecutor(len(parts)) as pool:
            futures = [pool.submit(run, part) for part in parts]
            return [future.result(PATIENCE) for future in futures]
    finally:
        sys.setswitchinterval(usual)


def in_processes(
    parts: Sequence[tuple[Any, ...]], beside: Callable[[], Any] | None = None
) -> list[Any]:
    """Run functions of this module, each in a process of its own, all at once.

    Args:
        parts: for each process, the function and its arguments.
        beside: what this process does meanwhile.

    Returns:
        What they returned; after them, what `beside` did.
    """
    pool = _processes()
    futures = [pool.submit(_run_together, len(parts) == WRITERS, *part) for part in parts]
    own = [] if beside is None else [beside()]
    return [future.result(PATIENCE) for future in futures] + own


@cache
def _processes() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS)
    return ProcessPoolExecutor(
        WRITERS, mp_context=context, initializer=_remember_start, initargs=(barrier,)
    )


def _remember_start(barrier: Any) -> None:
    global _start
    _start = barrier


def _run_together(together: bool, function: Callable[..., T], *arguments: Any) -> T:
    if together:
        _start.wait(PATIENCE)
    return function(*arguments)


def write_much(open_store: Opener, writer: int, count: int) -> list[str]:
    """Append events one by one, in batches, and beside batches that are refused.

    Returns:
        The ids of what was kept, in order.
    """
    kept: list[str] = []
    own: dict[str, Any] = {"aggregate_type": "writer", "aggregate_id": str(writer)}
    with open_store() as store:
        while len(kept) < count:
            size = min(1 + len(kept) % 4, count - len(kept))
            events = [Event("race", payload={"writer": writer}, **own) for _ in range(size)]
            refused = Batch([Event("refused", **own)], expected_version=10**6)
            results = store.append_all([refused, Batch(events), refused])
            if not isinstance(results[0], VersionConflict) or isinstance(results[1], Exception):
                raise TypeError(f"one batch of three should have been kept: {results}")
            kept += [event.id for event in results[1]]
    return kept


def read_on(open_store: Opener, total: int) -> list[str]:
    """Read on from position to position, as a subscriber does, until so many events were seen."""
    seen: list[str] = []
    position, end = 0, monotonic() + PATIENCE
    with open_store() as store:
        while len(seen) < total:
            if monotonic() > end:
                raise TimeoutError(f"{len(seen)} of {total} events were seen in {PATIENCE} s")
            be_woken(store, position)
            reading = store.read(Query(after=position))
            seen += [event.id for event in reading]
            position = reading.position
        seen += [event.id for event in store.read(Query(after=position))]
    return seen


def take_versions(open_store: Opener, times: int) -> int:
    """Append to one aggregate at the version it stands at, until it works; counts conflicts."""
    about: dict[str, Any] = {"aggregate_type": "counter", "aggregate_id": "shared"}
    conflicts = done = 0
    end = monotonic() + PATIENCE
    with open_store() as store:
        while done < times:
            if monotonic() > end:
                raise TimeoutError(f"{done} of {times} writes were done in {PATIENCE} s")
            newest = next(iter(store.read(Query(**about, backwards=True, limit=1))), None)
            version = 0 if newest is None else newest.version or 0
            sleep(0)  # lets others write in between, which is what the race is about
            try:
                store.append([Event("counted", payload={"saw": version}, **about)], version)
                done += 1
            except VersionConflict:
                conflicts += 1
    return conflicts


def count_up(open_store: Opener, times: int) -> int:
    """Add one to a ledger record by compare-and-set, until it works; counts conflicts."""
    conflicts = done = 0
    end = monotonic() + PATIENCE
    with open_store() as store:
        while done < times:
            if monotonic() > end:
                raise TimeoutError(f"{done} of {times} writes were done in {PATIENCE} s")
            found = store.get("counter")
            value, revision = (0, 0) if found is None else (found.value, found.revision)
            sleep(0)  # as in `take_versions`
            try:
                store.put("counter", value + 1, expected=revision)
                done += 1
            except RevisionConflict:
                conflicts += 1
    return conflicts


def append_one(open_store: Opener, event_type: str) -> int:
    """Append one event; gives its position."""
    with open_store() as store:
        return store.append([Event(event_type)])[0].position or 0


def append_when_awaited(open_store: Opener, times: int) -> int:
    """Answer each `ping` with a `pong`, waiting for it at the store; gives the last position."""
    position = 0
    with open_store() as store:
        for _ in range(times):
            await_type(store, position, "ping")
            position = store.append([Event("pong")])[0].position or 0
    return position


def be_woken(store: Store, position: int) -> int:
    """Wait for what lies past a position; not to be woken for half of our patience is an error."""
    started = monotonic()
    try:
        return store.wait(position, timeout=PATIENCE)
    finally:
        if monotonic() - started > PATIENCE / 2:
            raise TimeoutError(f"who waited past {position} was not woken")


def await_type(store: Store, position: int, event_type: str) -> int:
    """Wait until an event of a type lies past a position; gives where."""
    end = monotonic() + PATIENCE
    while monotonic() < end:
        reading = store.read(Query(after=position, types=event_type, limit=1))
        for event in reading:
            return event.position or 0
        position = reading.position
        be_woken(store, position)
    raise TimeoutError(f"no {event_type} came in {PATIENCE} s")


def fork_while_writing(open_store: Opener) -> dict[str, Any]:
    """Fork again and again while another thread appends; each child appends one event and reads it.

    Returns:
        `complaints` of children (empty where all went well), what the parent's thread `appended`
        and what it `read` in the end, how many events of `children` it sees, and `problems`.
    """
    begun, enough = Flag(), Flag()

    def write() -> list[str]:
        appended = []
        # In bursts, so that forks meet it at work and yet the store stays small.
        while not enough.wait(0.001):
            for _ in range(_BURST):
                appended += [event.id for event in store.append([Event("parent")])]
            begun.set()
        return appended

    with open_store() as store, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            begun.wait(PATIENCE)
            complaints = [_complaint_of_child(store) for _ in range(FORKS)]
        finally:
            enough.set()
        return {
            "complaints": [complaint for complaint in complaints if complaint],
            "appended": writing.result(PATIENCE),
            "read": [event.id for event in store.read(Query(types="parent"))],
            "children": store.count(Query(types="child")).value,
            "problems": store.check(),
        }


def _complaint_of_child(store: Store) -> str:
    """Fork a child that uses the store; gives what went wrong there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # A child that hangs on a lock it inherited is killed, and its test fails.
            signal.alarm(_FORK_PATIENCE)
            os.write(writer, _append_and_read(store).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        complaint = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return complaint if code == 0 else f"ended with {code} {complaint}"


def _append_and_read(store: Store) -> str:
    try:
        stored = store.append([Event("child")])
        read = list(store.read(Query(ids=stored[0].id)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent shall hear of it
        return f"{type(error).__name__}: {error}"
    return "" if read == stored else f"appended {stored}, read {read}"
