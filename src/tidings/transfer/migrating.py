"""Migrating: a whole store copied into another one, of any backend, while it may be in use.

Keeps promise 2 for whoever reads on in the copy: events keep their positions, versions and all they
say, and what was pruned stays gone. Keeps promise 1: what is copied is compared at the end. Killed
at any moment it goes on where the target stands, once that is known to be the source's beginning.
The target takes events only past its head, so two migrations cannot mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import HistoryPruned, InvalidEvent, TransferError
from tidings.masking import masked
from tidings.record import CONTEXT, EXTENSIONS, PAYLOAD, POSITION
from tidings.removing import prune, redact
from tidings.store.query import Query
from tidings.transfer.comparing import Comparison, difference
from tidings.transfer.records import Mark, copy_records
from tidings.transfer.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.event import Event
    from tidings.store.base import Store

__all__ = ["Migrated", "migrate"]

_PART_EVENTS = 2_000
_PART_BYTES = 4 * 1024 * 1024
"""How much is restored at once: one transaction, request or command of the target."""

_CLOSE = 1_000
"""A round that copied fewer events than this has caught up with a source in use."""

_SAMPLES = 20
_ATTEMPTS = 5


class Migrated(NamedTuple):
    """What a migration did.

    `copied` events were copied now; the copy stands at `position`, and the source at `head` when
    all was compared. `compared` events were, and `records` of the ledger. `differences` says in
    words what the target does not hold as the source does; empty where all is well. `behind`
    records changed while they were copied, `withheld` ones a server does not take.
    """

    copied: int
    position: int
    head: int
    compared: int
    records: int
    behind: int
    withheld: int
    differences: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the target holds everything, so that writers may go on there."""
        return not self.differences and not self.behind and self.position == self.head


def migrate(
    source: Store,
    target: Store,
    *,
    quick: bool = False,
    dry_run: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Migrated:
    """Copy a store into another one, and compare them.

    The source may be in use. Run it again to bring over what came since; once its writers have
    stopped, the last run leaves nothing out.

    Args:
        source: the store to copy; it is not changed.
        target: an empty store, or what an earlier migration of this source left.
        quick: compare only what no earlier run has compared. What was redacted at the source since
            stays in the target then.
        dry_run: only see whether it can be done.
        progress: called now and then with what is done (`copied` or `compared`), how many events so
            far, and how many in all as far as is known.

    Raises:
        TransferError: the source is empty, or the target holds something else, or others write to
            the target.
        StoreDamaged: an event of the source is not what was kept.
        StoreUnavailable, OutcomeUnknown: one of them cannot be used now; run it again.

    >>> from tidings.store import open_store
    >>> from tidings.event import Event
    >>> source, target = open_store("memory:"), open_store("memory:")
    >>> stored = source.append([Event("job_done"), Event("job_done")])
    >>> done = migrate(source, target)
    >>> done.complete, done.copied, target.latest() == stored[-1]
    (True, 2, True)
    """
    return _Migration(source, target, progress or _tell_nobody).run(quick=quick, dry_run=dry_run)


class _Migration:
    def __init__(
        self, source: Store, target: Store, progress: Callable[[str, int, int], None]
    ) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._copied = 0
        self._begun_at = self._at = 0

    def run(self, *, quick: bool, dry_run: bool) -> Migrated:
        mark = self._looked_at()
        if dry_run:
            return Migrated(0, self._target.head(), self._source.head(), 0, 0, 0, 0, ())
        mark.begin(self._source)
        self._at = self._target.head()
        self._begun_at = max(self._source.first() - 1, self._at)
        self._copy()
        verified = mark.verified if quick else 0
        compared, differences = self._settled(verified)
        records = copy_records(self._source, self._target)
        head = self._target.catch_up()
        if head != self._at:
            raise self._used_by_others(f"it stands at position {head:,} and not at {self._at:,}")
        if not differences:
            mark.finish(self._at)
        return Migrated(
            copied=self._copied,
            position=self._at,
            head=self._source.catch_up(),
            compared=compared,
            records=records.same,
            behind=records.differing,
            withheld=records.withheld,
            differences=tuple(differences),
        )

    # May it be? -----------------------------------------------------------------------------------

    def _looked_at(self) -> Mark:
        """The target's mark, once it is known that the target may be filled.

        Raises:
            TransferError: it holds something else.
        """
        if self._source is self._target or _same_place(self._source, self._target):
            raise TransferError(f"{masked(self._source.url)} cannot be copied onto itself")
        head, there = self._source.catch_up(), self._target.catch_up()
        if not head and not self._source.keys():
            raise TransferError(
                f"{masked(self._source.url)} holds nothing; is that the store that was meant?"
            )
        mark = Mark(self._target)
        mark.ensure_target_is_ours()
        if there > head:
            raise self._holds_other(
                f"it stands at position {there:,}, and the source only at {head:,}"
            )
        if there < self._source.first() - 1 and there and mark.origin != masked(self._source.url):
            raise self._holds_other(
                f"it was filled from {mark.origin}, and where it stands the source is pruned, so "
                f"they cannot be compared"
            )
        self._ensure_beginning()
        return mark

    def _ensure_beginning(self) -> None:
        """Refuse a target whose newest, oldest and some other events are not the source's."""
        first = max(self._source.first(), self._target.first())
        head = self._target.head()
        step = max((head - first) // _SAMPLES, 1)
        if head < first:
            return
        for position in {*range(first, head + 1, step), head}:
            here = Query(after=position - 1, before=position + 1)
            expected, found = (next(each.read(here), None) for each in (self._source, self._target))
            if expected is None and found is None:
                continue
            if expected is None or found is None:
                raise self._holds_other(f"only one of them has an event at position {position:,}")
            differs = difference(expected, found)
            if differs is not None:
                raise self._holds_other(differs)

    def _holds_other(self, how: str) -> TransferError:
        return TransferError(
            f"{masked(self._target.url)} holds something else than the beginning of "
            f"{masked(self._source.url)}: {how}; name a new store"
        )

    # Copying --------------------------------------------------------------------------------------

    def _copy(self) -> None:
        """Copy until the source is caught up with, as far as its writers let."""
        before = None
        while True:
            start = self._copied
            self._copy_to(self._source.catch_up())
            took = self._copied - start
            # Writers that are quicker than this would else never let it end.
            if took < _CLOSE or (before is not None and took >= before):
                return
            before = took

    def _copy_to(self, head: int) -> None:
        for _ in range(_ATTEMPTS):
            self._follow_pruning()
            # Not the target's head, which moves where others write to it.
            window = Query(after=self._at, before=head + 1)
            try:
                for part in _parts(self._source.read(window)):
                    self._restore(part)
                    here = part[-1].record[POSITION]
                    self._progress("copied", here - self._begun_at, head - self._begun_at)
            except HistoryPruned:
                continue  # the source was pruned past what was to come next
            return
        raise TransferError(
            f"{masked(self._source.url)} is pruned faster than it is copied; run this again later"
        )

    def _restore(self, part: list[Event]) -> None:
        self._follow_pruning()  # an id that was pruned may come again, and is then new
        pruned = self._target.first() - 1
        try:
            left = [event for event in part if event.record[POSITION] > pruned]
            self._copied += self._target.restore(left)
            self._at = max(self._at, part[-1].record[POSITION])
        except InvalidEvent as error:
            if error.field != "position":
                raise
            raise self._used_by_others(str(error)) from error

    def _used_by_others(self, how: str) -> TransferError:
        return TransferError(
            f"{masked(self._target.url)} is written to by others ({how}); stop them, and migrate "
            f"to a new store"
        )

    def _follow_pruning(self) -> None:
        """Prune the target as the source is."""
        pruned = self._source.first() - 1
        if pruned < self._target.first():
            return
        there = self._target.head()
        prune(self._target, pruned)
        if pruned > there:
            self._target.adopt(pruned)
        self._at = max(self._at, pruned)

    # Comparing ------------------------------------------------------------------------------------

    def _settled(self, verified: int) -> tuple[int, list[str]]:
        """Compare, and put right what can be; how many events were compared, and what differs."""
        for _ in range(_ATTEMPTS):
            self._follow_pruning()
            try:
                return self._compare(verified)
            except HistoryPruned:
                continue  # pruned meanwhile
        raise TransferError(
            f"{masked(self._source.url)} is pruned faster than it is compared; run this again later"
        )

    def _compare(self, verified: int) -> tuple[int, list[str]]:
        source, target, upto = self._source, self._target, self._at
        pruned = target.first() - 1
        comparison = Comparison(source, target, max(verified, pruned), upto)
        comparison.remember_names = verified > 0
        comparison.run(lambda count: self._progress("compared", count, upto - pruned))
        self._redact(comparison.redacted)
        self._ensure_alike_pruned()
        differences = comparison.differences
        if differences:
            return comparison.compared, differences
        settling = Settling(source, target, upto)
        settling.adopt_remains(verified)
        if verified:
            differences += settling.differences_of(comparison.touched)
        else:
            comparison.compare_types()
            differences += settling.differences_in(comparison.kinds)
            if settling.remains_differ():
                differences.append("what pruned events left behind differs")
        self._ensure_alike_pruned()
        return comparison.compared, differences

    def _ensure_alike_pruned(self) -> None:
        """Start anew where the source was pruned while it was compared: it is another one then."""
        first = self._source.first()
        if first != self._target.first():
            raise HistoryPruned(self._target.first(), first)

    def _redact(self, positions: list[int]) -> None:
        """Empty the payloads that the source emptied after they were copied."""
        start = 0
        for index, position in enumerate(positions, 1):
            if index == len(positions) or positions[index] != position + 1:
                redact(self._target, Query(after=positions[start] - 1, before=position + 1))
                start = index


def _parts(events: Iterator[Event]) -> Iterator[list[Event]]:
    """The events, as many at once as are restored together; each is what its store kept."""
    part: list[Event] = []
    size = 0
    for event in events:
        event.verify()  # or the target's own checksum would hide the damage
        part.append(event)
        size += sum(len(event.record[each] or "") for each in (PAYLOAD, CONTEXT, EXTENSIONS))
        if len(part) == _PART_EVENTS or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _same_place(one: Store, other: Store) -> bool:
    """Whether two URLs name the same store; each store in memory is one of its own."""
    return one.url == other.url and not one.url.startswith("memory:")


def _tell_nobody(_: str, __: int, ___: int) -> None:
    return
