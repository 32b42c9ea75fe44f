"""A checker of what was acknowledged against what was kept against what was delivered.

For tests that kill servers and cut lines, of the kind that Jepsen made known. Writers record what
they send and what they are told, readers what they are given; at the end `check` holds all of it
against the store's log. It judges and changes nothing, and needs no pytest.

    with WriterRecord(directory, "w1") as record:
        record.attempt(store.append, [Event("job_done")])
    with ReaderRecord(directory, "tail") as record:
        for event in store.read(Query()):
            record.delivered(event.id, event.position)
    verdict = check(directory, store.read(Query()))
    assert not verdict.faults, verdict.report()
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from tidings.testing.recording import Given, ReaderRecord, WriterRecord, given_in, sent_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from tidings.event import Event
    from tidings.testing.recording import Sent

__all__ = ["FATES", "FAULTS", "Fault", "ReaderRecord", "Verdict", "WriterRecord", "check"]

FATES = {
    "ok": "acknowledged, and kept once",
    "lost": "acknowledged, and not kept",
    "unknown-kept": "the outcome was not known; it is kept once",
    "unknown-not-kept": "the outcome was not known; it is not kept",
    "refused": "refused, and not kept",
    "refused-kept": "refused, and kept all the same",
    "twice": "kept at more than one position",
    "never-sent": "kept, though no writer recorded that it was sent",
}
"""What may have become of an id; `lost`, `refused-kept`, `twice` and `never-sent` are faults."""

FAULTS = {
    **{fate: FATES[fate] for fate in ("lost", "refused-kept", "twice", "never-sent")},
    "moved": "acknowledged at one position, kept at another",
    "reused": "the position at which it was acknowledged belongs to another event",
    "disordered-log": "the log does not give its events by rising position",
    "skipped": "a reader went past it without being given it",
    "repeated": "a reader was given it more than once",
    "disordered": "a reader was given it after a later one",
    "misplaced": "a reader was given it with another position than it is kept at",
    "phantom": "a reader was given it, and it is not kept",
}
"""Everything that breaks a promise, and what it means."""

_SHOWN = 20
"""How many ids a report names of each fault."""


class Fault(NamedTuple):
    """A promise that was broken: of the kind, one of `FAULTS`, for which id, and how."""

    kind: str
    id: str
    detail: str


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        fates: for each id, one of `FATES`.
        faults: what was broken; empty where every promise was kept.
        deliveries: how many deliveries were looked at.
    """

    fates: dict[str, str]
    faults: list[Fault]
    deliveries: int

    def counts(self) -> dict[str, int]:
        """How many ids had each fate; the fates that none had are left out."""
        found = Counter(self.fates.values())
        return {fate: found[fate] for fate in FATES if found[fate]}

    def report(self) -> str:
        """The verdict for people: how many of each, and the ids of what went wrong."""
        told = ", ".join(f"{count:,} {fate}" for fate, count in self.counts().items())
        lines = [f"{len(self.fates):,} ids: {told or 'none'}; {self.deliveries:,} deliveries"]
        by_kind: dict[str, list[Fault]] = defaultdict(list)
        for fault in self.faults:
            by_kind[fault.kind].append(fault)
        for kind, faults in by_kind.items():
            lines.append(f"{kind.upper()}, {len(faults):,} times ({FAULTS[kind]}):")
            lines += [f"    {fault.id}: {fault.detail}" for fault in faults[:_SHOWN]]
            if len(faults) > _SHOWN:
                lines.append(f"    … and {len(faults) - _SHOWN:,} more")
        return "\n".join(lines)


class _Kept(NamedTuple):
    """The log: where each id is kept, whose each position is, and which aggregate it is about."""

    places: dict[str, list[int]]
    owners: dict[int, str]
    aggregates: dict[str, tuple[str | None, str | None]]
    faults: list[Fault]


def check(directory: str | os.PathLike[str], kept: Iterable[Event], *, first: int = 1) -> Verdict:
    """Hold what was recorded in a directory against what is kept.

    Args:
        directory: where the records lie.
        kept: the whole log, as `store.read(Query())` gives it once nobody writes any more.
        first: the first position left where the log was pruned meanwhile; what was acknowledged
            before it may be gone.

    Raises:
        ValueError: a record holds something else.
    """
    log = _kept(kept)
    sent = sent_in(directory)
    fates = {id: _fate(each, log.places.get(id, []), first) for id, each in sent.items()}
    fates |= {
        id: "twice" if len(places) > 1 else "never-sent"
        for id, places in log.places.items()
        if id not in sent
    }
    faults = list(log.faults)
    for id, fate in fates.items():
        if fate in FAULTS:
            faults.append(Fault(fate, id, _story(sent.get(id), log.places.get(id, []))))
    faults += _misplaced_acknowledgements(sent, log)
    deliveries = 0
    for given in given_in(directory):
        deliveries += len(given.deliveries)
        faults += _reader_faults(given, log, first)
    return Verdict(fates, faults, deliveries)


def _kept(events: Iterable[Event]) -> _Kept:
    log = _Kept(defaultdict(list), {}, {}, [])
    newest = 0
    for event in events:
        position = event.position or 0
        if position <= newest:
            log.faults.append(
                Fault("disordered-log", event.id, f"at {position}, read after {newest}")
            )
        newest = max(newest, position)
        log.places[event.id].append(position)
        log.owners[position] = event.id
        log.aggregates[event.id] = event.aggregate_type, event.aggregate_id
    return log


def _fate(sent: Sent, places: list[int], first: int) -> str:
    if len(places) > 1:
        return "twice"
    if sent.positions:
        pruned = any(position is not None and position < first for position in sent.positions)
        return "ok" if places or pruned else "lost"
    # One attempt without an answer is enough for not knowing; its writer was killed.
    if sent.refused and sent.refused == sent.times and not sent.unknown:
        return "refused-kept" if places else "refused"
    return "unknown-kept" if places else "unknown-not-kept"


def _story(sent: Sent | None, places: list[int]) -> str:
    is_kept = f"kept at {', '.join(map(str, places))}" if places else "not kept"
    if sent is None:
        return is_kept
    told = [f"acknowledged at {position}" for position in sent.positions]
    told += [f"refused {sent.refused} times"] if sent.refused else []
    told += [f"not known {sent.unknown} times"] if sent.unknown else []
    return f"sent {sent.times} times, {', '.join(told) or 'never answered'}; {is_kept}"


def _misplaced_acknowledgements(sent: dict[str, Sent], log: _Kept) -> Iterator[Fault]:
    acknowledged: dict[int, str] = {}
    for id, each in sent.items():
        places = log.places.get(id, [])
        for position in dict.fromkeys(each.positions):
            if position is None:
                continue
            if places and position not in places:
                detail = f"acknowledged at {position}, kept at {places[0]}"
                yield Fault("moved", id, detail)
            owner = log.owners.get(position, id)
            other = acknowledged.setdefault(position, id) if owner == id else owner
            if other != id:
                yield Fault("reused", id, f"acknowledged at {position}, which is that of {other}")


def _reader_faults(given: Given, log: _Kept, first: int) -> Iterator[Fault]:
    name = f"reader {given.reader}"
    newest, seen = given.after, set[str]()
    newest_about: dict[tuple[str | None, str | None], int] = {}
    for id, position in given.deliveries:
        places = log.places.get(id)
        if not places:
            if position is None or position >= first:
                yield Fault("phantom", id, f"given to {name} at {position}")
        elif position is not None and position not in places:
            yield Fault("misplaced", id, f"given to {name} at {position}, kept at {places[0]}")
        place = position if position is not None else places[0] if places else newest
        if id in seen:
            if not given.repeats:
                yield Fault("repeated", id, f"given to {name} again, at {position}")
            continue
        seen.add(id)
        # Exactly once comes with one order of all; at least once with one for each aggregate.
        about = log.aggregates.get(id, (None, None)) if given.repeats else ("", "")
        before = newest_about.get(about, given.after)
        if place <= before and about != (None, None):
            yield Fault("disordered", id, f"given to {name} at {place}, after {before}")
        newest_about[about] = max(before, place)
        newest = max(newest, place)
    # What failed again and again is behind the newest one, so `complete` alone says what is due.
    end = given.complete if given.repeats else max(newest, given.complete)
    for position, id in log.owners.items():
        if given.after < position <= end and id not in seen:
            yield Fault("skipped", id, f"at {position}, not given to {name}, who came to {end}")
