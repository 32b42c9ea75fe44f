"""The summaries of a store that is migrated: what events alone do not tell is taken over.

Summaries that began with events since pruned, aggregates without events among them, are adopted as
they stand in the source; then every summary is compared. One whose source has newer events already
is left for the next round.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING
from zlib import crc32

from tidings.errors import InvalidEvent
from tidings.store.base import CORRELATION, REMAINS_PAGE
from tidings.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tidings.store.base import Store, Summary

    Pair = tuple[Summary | None, Summary | None]

__all__ = ["Settling"]

_MOST_DIFFERENCES = 20


class Settling:
    """Makes the target's summaries those of the source, as of a position.

    Args:
        source: the store that is copied.
        target: the copy.
        upto: the position up to which the copy has come.
    """

    def __init__(self, source: Store, target: Store, upto: int) -> None:
        self._source = source
        self._target = target
        self._upto = upto

    def adopt_remains(self, after: int) -> None:
        """Take over what pruned events left behind.

        Args:
            after: what did not change since this position is there already.
        """
        for page in _pages(self._source):
            settled = [kept for kept in page if after < kept.last_position <= self._upto]
            self._adopt(settled)

    def remains_differ(self) -> bool:
        """Whether other summaries of pruned events are left in the target than in the source."""
        moving: set[tuple[str, str]] = set()
        expected = [0, 0]
        for kept in _all_remains(self._source):
            if kept.last_position > self._upto:
                moving.add((kept.kind, kept.id))
            else:
                _add(expected, kept)
        found = [0, 0]
        for kept in _all_remains(self._target):
            if (kept.kind, kept.id) not in moving:
                _add(found, kept)
        return found != expected

    def differences_in(self, kinds: Iterable[str]) -> list[str]:
        """What differs in the summaries of some kinds, once what can be is put right."""
        return self._put_right(
            lambda: (pair for kind in sorted(kinds) for pair in self._walk(kind))
        )

    def differences_of(self, names: Iterable[tuple[str, str]]) -> list[str]:
        """The same of single summaries, by kind and id."""
        wanted = sorted(names)
        return self._put_right(lambda: (pair for name in wanted for pair in self._look_up(*name)))

    def _put_right(self, look: Callable[[], Iterator[Pair]]) -> list[str]:
        """Adopt what differs, look again, and say in words what still does."""
        wrong: list[Summary] = []
        differs = False
        for expected, _ in look():
            if expected is not None:
                is_correlation = expected.kind == CORRELATION
                wrong.append(expected._replace(kind="") if is_correlation else expected)
            differs = True
            if len(wrong) == REMAINS_PAGE:
                self._adopt(wrong)
                wrong = []
        self._adopt(wrong)
        return [_words(*pair) for pair in islice(look(), _MOST_DIFFERENCES)] if differs else []

    def _adopt(self, summaries: list[Summary]) -> None:
        """Let the target take over summaries, as many as do not contradict what it keeps."""
        if not summaries:
            return
        try:
            self._target.adopt(0, summaries)
        except InvalidEvent:
            half = len(summaries) // 2
            if half:  # one that is refused is told later, as it still differs
                self._adopt(summaries[:half])
                self._adopt(summaries[half:])

    def _walk(self, kind: str) -> Iterator[Pair]:
        """The pairs of a kind that differ, in order of where they begin, page by page."""
        after = 0
        while after < self._upto:
            page = self._source.summaries(kind, Query(after=after, limit=REMAINS_PAGE))
            full = len(page) == REMAINS_PAGE
            end = page[-1].first_position if full else max(self._upto, after + 1)
            window = Query(after=after, before=end + 1)
            found = {kept.id: kept for kept in self._target.summaries(kind, window)}
            for expected in page:
                yield from self._differing(expected, found.pop(expected.id, None))
            for kept in found.values():
                if not self._has_moved_on(kind, kept):
                    yield None, kept
            after = end

    def _look_up(self, kind: str, id: str) -> Iterator[Pair]:
        """The pair of one name, if it differs."""
        name = Query(aggregate_id=id, limit=1)
        (expected,) = self._source.summaries(kind, name) or (None,)
        (found,) = self._target.summaries(kind, name) or (None,)
        if expected is not None:
            yield from self._differing(expected, found)
        elif found is not None and not self._has_moved_on(kind, found):
            yield None, found

    def _differing(self, expected: Summary, found: Summary | None) -> Iterator[Pair]:
        if expected != found and expected.last_position <= self._upto:
            yield expected, found

    def _has_moved_on(self, kind: str, kept: Summary) -> bool:
        """Whether the source has a newer summary of a name, or pruned its events since."""
        now = self._source.summaries(kind, Query(aggregate_id=kept.id, limit=1))
        return bool(now) or kept.last_position < self._source.first()


def _pages(store: Store) -> Iterator[list[Summary]]:
    """What pruned events left behind in a store, page by page."""
    after: tuple[str, str] | None = None
    while page := store.remains(after):
        yield page
        after = page[-1].kind, page[-1].id


def _all_remains(store: Store) -> Iterator[Summary]:
    return chain.from_iterable(_pages(store))


def _add(digest: list[int], summary: Summary) -> None:
    """Count a summary, whatever order they come in: backends order them differently."""
    digest[0] += 1
    digest[1] += crc32(repr(tuple(summary)).encode())


def _words(expected: Summary | None, found: Summary | None) -> str:
    either = expected or found
    name = "" if either is None else f"{either.kind}/{either.id}"
    if expected is None:
        return f"the summary of {name} is in the target only"
    if found is None:
        return f"the summary of {name} is missing"
    fields = [
        field for field in expected._fields if getattr(expected, field) != getattr(found, field)
    ]
    return f"the summary of {name} differs in {', '.join(fields)}"
