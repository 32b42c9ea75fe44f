"""How batches are sent: as many in one request as fit into it, each with its own fate.

Keeps the contract of `Store.append_all`. What cannot be sent at all is refused here, so that it
does not disturb the rest.
"""

from __future__ import annotations

from tidings.errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, TidingsError
from tidings.fields import encode_json
from tidings.store.ledger import checked_key, encoded_value
from tidings.store.remote.refusals import batch_error
from tidings.store.remote.server import Way
from tidings.store.wire import (
    MOST_BATCHES,
    MOST_SENT_BYTES,
    batch_data,
    event_row,
    kept_events,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from tidings.event import Event
    from tidings.store.base import Batch

    Results = list[list[Event] | Exception]

__all__ = ["append_all", "restore"]

_PART_BYTES = 8 * 1024 * 1024
_BYTES_A_SECOND = 512 * 1024
"""How fast a request is sent and kept at the least; a large one has so much more time."""

_RESTORED_AT_ONCE = 1000


def append_all(ask: Callable[..., Any], batches: Sequence[Batch]) -> Results:
    """Have batches kept; see `Store.append_all`."""
    results: Results = [[] for _ in batches]
    sent = 0
    for part in _parts(batches, results):
        texts = [text for _, text in part]
        chosen = [batches[index] for index, _ in part]
        try:
            told = _append(ask, chosen, texts)
        except StoreUnavailable as error:
            if not sent:
                raise
            raise OutcomeUnknown(
                f"{error}; {sent:,} batches were kept or refused before, and all may be sent again"
            ) from error
        for (index, _), result in zip(part, told, strict=True):
            results[index] = result
        sent += len(part)
    return results


def restore(ask: Callable[..., Any], events: Iterable[Event]) -> int:
    """Have events restored; see `Store.restore`."""
    way = Way(repeatable=False, changes=True)
    restored = 0
    for part in _row_parts(events):
        body = _joined("events", part)
        restored += ask(lambda answer: int(answer["restored"]), "POST", "/log/restore", body, way)
    return restored


def _parts(batches: Sequence[Batch], results: Results) -> Iterator[list[tuple[int, bytes]]]:
    """The batches as JSON, as many at once as fit into a request; what is refused is told."""
    part: list[tuple[int, bytes]] = []
    size = 0
    for index, batch in enumerate(batches):
        try:
            text = _batch_text(batch)
        except TidingsError as error:
            results[index] = error
            continue
        if part and (len(part) == MOST_BATCHES or size + len(text) > _PART_BYTES):
            yield part
            part, size = [], 0
        part.append((index, text))
        size += len(text)
    if part:
        yield part


def _batch_text(batch: Batch) -> bytes:
    for put in batch.put:
        checked_key(put.key)
        encoded_value(put.value)
    text = encode_json(batch_data(batch)).encode()
    if len(text) > MOST_SENT_BYTES:
        rule = (
            f"take {len(text):,} bytes together, and a server takes {MOST_SENT_BYTES:,} at once; "
            f"append them in several batches"
        )
        raise InvalidEvent("events", len(batch.events), rule)
    return text


def _append(ask: Callable[..., Any], batches: list[Batch], texts: list[bytes]) -> Results:
    def told(answer: Any) -> Results:
        return [
            _result(batch, each) for batch, each in zip(batches, answer["results"], strict=True)
        ]

    body = _joined("batches", texts)
    # Ids make it harmless to send events twice; a ledger write may be decided otherwise then.
    repeatable = not any(batch.put for batch in batches)
    way = Way(None, repeatable, changes=True, extra_seconds=len(body) / _BYTES_A_SECOND)
    results: Results = ask(told, "POST", "/log/append", body, way)
    return results


def _result(batch: Batch, told: dict[str, Any]) -> list[Event] | Exception:
    if "kept" in told:
        return kept_events(batch.events, told["kept"])
    return batch_error(told["problem"])


def _row_parts(events: Iterable[Event]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for event in events:
        text = encode_json(event_row(event)).encode()
        if part and (len(part) == _RESTORED_AT_ONCE or size + len(text) > _PART_BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text)
    if part:
        yield part


def _joined(name: str, texts: list[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (name.encode(), b",".join(texts))
