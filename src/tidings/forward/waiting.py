"""What waits to be forwarded: records of the ledger that any process may claim and send.

Keeps: a record goes away only once its address took the event, or the event itself was removed. Two
processes do not send the same at once: a claim is written by compare-and-set and ends with the
process, or after a time. What an address refuses for what it is, ten times in three days, is put
aside under `forward-refused/`; what it cannot take for now waits for as long as that lasts.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import NamedTuple

from tidings import settings
from tidings.clock import Clock
from tidings.errors import (
    NotAllowed,
    OutcomeUnknown,
    RevisionConflict,
    StoreClosed,
    StoreUnavailable,
)
from tidings.forward.posting import is_address, post
from tidings.ids import new_id
from tidings.masking import masked
from tidings.schedule import STANDARD_WEBHOOKS, Schedule
from tidings.spool.marks import PREFIX
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.event import Event
    from tidings.forward.posting import Answer
    from tidings.store.base import LedgerRecord, Store

__all__ = [
    "CLAIM",
    "FRESH",
    "REFUSED",
    "Forwarded",
    "Waiting",
    "resend_refused",
    "send_waiting",
    "state_of",
]

REFUSED = "forward-refused/"

_MICROSECONDS = 1_000_000
FRESH = 15 * _MICROSECONDS
"""So long after it was claimed (microseconds) an event may be sent without another look."""

CLAIM = 30 * _MICROSECONDS
"""So long a claim holds (microseconds) where its process cannot be asked whether it lives: longer
than `FRESH`, and a POST after that."""

_PAGE = 500
_AWAY = Schedule.doubling(64, first=5.0, most=300.0)
"""Pauses while the address takes nothing; it never ends."""


_claiming: set[str] = set()
"""Who claims in this process; none of those of a parent that it was forked from."""


class Forwarded(NamedTuple):
    """How many a round sent; how many records wait and are put aside, for any address.

    `error` says why the address took no more, or is empty; `refusal` why it refused an event, and
    `elsewhere` names another address that some wait for, where it went through all.
    """

    sent: int
    waiting: int
    refused: int
    error: str = ""
    refusal: str = ""
    elsewhere: str = ""

    def after(self, other: Forwarded) -> Forwarded:
        """This round and one before it to another address, as one."""
        return self._replace(
            sent=self.sent + other.sent,
            error=other.error or self.error,
            refusal=other.refusal or self.refusal,
            # What each names as elsewhere is mostly the other's own.
            elsewhere="",
        )


class Waiting:
    """The records of one store for one address, as one process works at them.

    Args:
        store: whose ledger holds them.
        url: where to. Records that name another address are left alone; those that name something
            that is none, by a slip, are sent here.
        key: what is shown there.
        clock: what time it is.

    Attributes:
        sent: how many events were.
        left: whether something was put off, or is claimed by others.
        refusal: what the address last said of an event that it refused.
        elsewhere: another address that some wait for.
    """

    def __init__(self, store: Store, url: str, key: str, clock: Clock | None = None) -> None:
        self.url = url
        self._store = store
        self._key = key
        self._clock = clock or Clock()
        self._token = new_id()
        self._process = os.getpid()
        self._stopped = False
        self.sent = 0
        self.left = False
        self.refusal = self.elsewhere = ""

    def claim(self) -> dict[str, Any]:
        """The claim of this process, from now on."""
        if self._process != os.getpid():
            self._process, self._token = os.getpid(), new_id()
        _claiming.add(self._token)
        return {
            "by": self._token,
            "host": _host(),
            "pid": self._process,
            "until": self._clock.now() + CLAIM,
        }

    def stop(self) -> None:
        """Have a round end after the event that is being sent, and claim nothing any more."""
        self._stopped = True
        _claiming.discard(self._token)

    def send_fresh(self, key: str, event: Event) -> Answer:
        """Send an event that was just kept, whose record is claimed by us.

        Raises:
            StoreUnavailable, OutcomeUnknown, StoreClosed: what came of it could not be written; it
                is sent again.
        """
        answer = post(self.url, self._key, event)
        if answer.verdict == "taken":
            self.sent += 1
            self._store.delete(key)
            return answer
        try:
            record = self._store.get(key)
        except NotAllowed:
            return answer  # a server's key that may only emit: once our claim ends, others send it
        if record is not None:
            self._put_off(record, answer)
        return answer

    def round(self, *, hurry: bool = False) -> Answer | None:
        """Send what waits and is due, the oldest first, until the address takes nothing.

        Args:
            hurry: whether to send also what is put off until later.

        Returns:
            The answer that ended it; none where it went through all.

        Raises:
            StoreUnavailable, OutcomeUnknown, StoreClosed: the store is away; what is left waits.
        """
        self.left = False
        for record in self._records(PREFIX):
            if self._stopped:
                return None
            if not self._is_ready(record, hurry=hurry):
                self.left = True
                continue
            answer = self._send(record)
            if answer is not None and answer.verdict == "away":
                return answer
        return None

    def _send(self, record: LedgerRecord) -> Answer | None:
        """Send one; none where somebody else does, or there is nothing left to send."""
        try:
            claimed = {**record.value, "claim": self.claim()}
            revision = self._store.put(record.key, claimed, record.revision)
            event = self._event(record.value)
            if event is None:
                self._store.delete(record.key, revision)
                return None
            answer = post(self.url, self._key, event)
            if answer.verdict == "taken":
                self.sent += 1
                self._store.delete(record.key, revision)
            else:
                self._put_off(record._replace(revision=revision), answer)
        except RevisionConflict:
            return None  # somebody else was quicker, or it was emitted again meanwhile
        return answer

    def _event(self, value: dict[str, Any]) -> Event | None:
        """The event of a record; none where it was pruned, redacted, or never kept."""
        found = self._store.read(Query(ids=value["id"], source=value["source"], limit=1))
        event = next(found, None)
        found.close()
        return None if event is None or event.redacted else event

    def _put_off(self, record: LedgerRecord, answer: Answer) -> None:
        """Note a failure, and when it is tried again."""
        self.left = True
        value, now = record.value, self._clock.now()
        attempts = value["attempts"] + 1
        noted = {**value, "attempts": attempts, "claim": None, "error": answer.error}
        if answer.verdict == "refused":
            self.refusal = answer.error
            due = STANDARD_WEBHOOKS.due(attempts, now)
            if due is None:
                self._store.put(REFUSED + record.key.removeprefix(PREFIX), noted)
                self._store.delete(record.key, record.revision)
                return
        else:
            # Its attempts count for nothing: they say nothing of the event.
            noted["attempts"] = value["attempts"]
            tries = noted["away"] = min(value.get("away", 0) + 1, _AWAY.attempts - 1)
            pause = answer.pause if answer.pause is not None else _AWAY.pause(tries)
            due = now + round((pause or 0.0) * _MICROSECONDS)
        try:
            self._store.put(record.key, {**noted, "due": due}, record.revision)
        except RevisionConflict:
            return  # it was emitted again meanwhile, or another process took it

    def _is_ready(self, record: LedgerRecord, *, hurry: bool) -> bool:
        value, now = record.value, self._clock.now()
        return (hurry or value["due"] <= now) and self._is_free(value["claim"], now)

    def _is_free(self, claim: dict[str, Any] | None, now: int) -> bool:
        if claim is None or claim["until"] <= now:
            return True
        if claim["by"] == self._token:
            # It may be about to be sent as fresh, until then.
            return bool(claim["until"] - CLAIM + FRESH < now)
        if claim["host"] != _host():
            return False
        if claim["pid"] == os.getpid():
            return claim["by"] not in _claiming
        return not _lives(claim["pid"])

    def _records(self, prefix: str) -> Iterator[LedgerRecord]:
        """The records for this address, in the order in which the events happened."""
        after = ""
        while keys := self._store.keys(prefix, after, _PAGE):
            for key in keys:
                record = self._store.get(key)
                if record is None or not _is_record(record.value):
                    continue
                if record.value["url"] == self.url or not is_address(record.value["url"]):
                    yield record
                else:
                    self.elsewhere = record.value["url"]
            after = keys[-1]


def send_waiting(
    store: Store,
    *,
    seconds: float = 10.0,
    hurry: bool = False,
    clock: Clock | None = None,
    target: tuple[str, str] | None = None,
) -> Forwarded:
    """Send what waits to be forwarded to the address that is set; does nothing where none is.

    Args:
        store: whose records.
        seconds: returns after that at the latest, whatever hangs.
        hurry: whether to send also what is put off until later.
        clock: what time it is.
        target: address and key; none for the settings'.

    Returns:
        What was done. Where the store is away, or time was up, `error` says so, and nothing is said
        of what waits: all goes on waiting.
    """
    target = target or settings.api_target()
    if target is None:
        return Forwarded(0, 0, 0)
    waiting = Waiting(store, *target, clock)
    done: list[Forwarded] = []

    def work() -> None:
        try:
            answer = waiting.round(hurry=hurry)
            left, refused = state_of(store)
        except (StoreUnavailable, OutcomeUnknown, StoreClosed) as away:
            done.append(Forwarded(waiting.sent, 0, 0, str(away)))
            return
        error = "" if answer is None else answer.error
        elsewhere = masked(waiting.elsewhere)
        done.append(Forwarded(waiting.sent, left, refused, error, waiting.refusal, elsewhere))

    thread = Thread(target=work, name="tidings-forward-waiting", daemon=True)
    thread.start()
    thread.join(seconds)
    # Also where it hangs: what it has claimed may then be sent twice, and told by its id.
    waiting.stop()
    hangs = Forwarded(waiting.sent, 0, 0, f"not all was sent within {seconds:g} seconds")
    return done[0] if done else hangs


def state_of(store: Store) -> tuple[int, int]:
    """How many events wait to be forwarded, and how many are put aside; for any address.

    Raises:
        StoreUnavailable: the store is away.
    """
    return len(store.keys(PREFIX)), len(store.keys(REFUSED))


def resend_refused(store: Store, target: tuple[str, str] | None = None) -> int:
    """Have what was put aside as refused tried again, as if for the first time; how many that is.

    Raises:
        StoreUnavailable: the store is away.
    """
    target = target or settings.api_target()
    if target is None:
        return 0
    moved = 0
    for record in list(Waiting(store, *target)._records(REFUSED)):  # noqa: SLF001 - of this module
        anew = {**record.value, "attempts": 0, "due": 0, "claim": None}
        store.put(PREFIX + record.key.removeprefix(REFUSED), anew)
        moved += store.delete(record.key)
    return moved


def _is_record(value: object) -> bool:
    """Whether it is one of ours: clients of a server can write there too."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("url", "id", "source"))
        and all(type(value.get(name)) is int for name in ("attempts", "due"))
        and _is_claim(value.get("claim"))
    )


def _is_claim(claim: object) -> bool:
    return claim is None or (
        isinstance(claim, dict)
        and type(claim.get("until")) is int
        and type(claim.get("pid")) is int
        and {"by", "host"} <= claim.keys()
    )


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _lives(pid: int) -> bool:
    """Whether a process of this machine lives, as far as one can know."""
    if os.name != "posix" or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
