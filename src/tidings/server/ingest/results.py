"""What became of each event of a batch, in order, in bounded memory.

Past the first hundred thousand events only what went wrong is told, and of that a bounded part; the
counts go on, and `complete` says that something was left out.
"""

from __future__ import annotations

from tidings.fields import encode_json
from tidings.ids import id_of_key
from tidings.record import FOREIGN_ID, KEY, POSITION, VERSION
from tidings.server.problems import problem_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.event import Event

__all__ = ["Results"]

MOST_RESULTS = 100_000
MOST_LATER_PROBLEMS = 1_000


class Results:
    """What became of each event.

    Attributes:
        kept: how many were kept.
        failed: how many were not.
        complete: whether each of them has a result.
    """

    def __init__(self) -> None:
        self.kept = 0
        self.failed = 0
        self.complete = True
        self._later_problems = 0
        self._parts: list[str] = []

    def keep(self, events: Iterable[Event]) -> None:
        """Events were kept."""
        told = [_place(event) for event in events]
        self.kept += len(told)
        room = max(0, MOST_RESULTS - len(self._parts))
        if len(told) > room:
            self.complete = False
            del told[room:]
        self._parts += told

    def refuse(self, error: Exception, index: int, line: int | None = None) -> None:
        """An event was not kept.

        Args:
            error: why.
            index: its place in the request, from 0.
            line: its line, from 1, where it came in lines.
        """
        self.failed += 1
        if len(self._parts) >= MOST_RESULTS:
            self._later_problems += 1
            if self._later_problems > MOST_LATER_PROBLEMS:
                self.complete = False
                return
        where = {"index": index} if line is None else {"index": index, "line": line}
        self._parts.append(encode_json({"problem": {**problem_of(error).to_dict(), **where}}))

    @property
    def status(self) -> int:
        """The status of the answer: 201 when all were kept, else 207."""
        return 207 if self.failed else 201

    def body(self) -> bytes:
        """The answer."""
        complete = "true" if self.complete else "false"
        return (
            f'{{"kept":{self.kept},"failed":{self.failed},"complete":{complete},'
            f'"results":[{",".join(self._parts)}]}}'
        ).encode()


def _place(event: Event) -> str:
    record = event.record
    foreign, version = record[FOREIGN_ID], record[VERSION]
    event_id = f'"{id_of_key(record[KEY])}"' if foreign is None else encode_json(foreign)
    return (
        f'{{"id":{event_id},"position":{record[POSITION]},'
        f'"version":{"null" if version is None else version}}}'
    )
