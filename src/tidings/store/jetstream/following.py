"""Bringing what the stream gets, in order and without a hole, to where it is read.

An ordered push consumer of our own on a plain subscription. nats-py's would count a message as had
before it drops it (its buffer being full), answers flow control for messages that nobody has taken,
and gives up where making the consumer again fails. Keeps promise 2: every consumer sequence follows
the last one, every stream sequence too, but where entries were removed; else it is asked for again
from the last good one.

Everything here runs in the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from time import monotonic

import nats.errors
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header

from tidings.errors import StoreDamaged, StoreUnavailable, TidingsError
from tidings.store.jetstream.failures import Broken, Unreached, is_passing, translated
from tidings.store.replicated.log import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from tidings.store.jetstream.buffer import Buffer
    from tidings.store.jetstream.connection import Connection, Line
    from tidings.store.jetstream.stream import Stream

__all__ = ["Following"]

_log = logging.getLogger("tidings.store.jetstream")

_HEARTBEAT = 0.75
_SILENCE = 2.5
"""So long without a heartbeat means that the consumer is no more (seconds)."""

_ANSWER = 3.5
_REST = 60.0
"""Who does not read for so long is sent no more until it does (seconds)."""

_BEHIND = 10.0
"""A stream that ends before what was read from it, for so long, has lost something (seconds); a new
leader may not yet have all."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_CONTROL = "100"


class Following:
    """Follows a stream for as long as somebody reads.

    Args:
        connection: where the stream is.
        stream: what is followed.
        buffer: where entries go.
        url: the store's, for messages.

    Attributes:
        url: as given.
        trouble: why the stream cannot be followed now, where that is tried again.
    """

    def __init__(self, connection: Connection, stream: Stream, buffer: Buffer, url: str) -> None:
        self._connection = connection
        self._stream = stream
        self._buffer = buffer
        self.url = url
        self.trouble: TidingsError | None = None
        self._woken = asyncio.Event()
        self._behind_since: float | None = None
        self._last: Entry | None = None
        self._task = asyncio.ensure_future(self._run())

    def wake(self) -> None:
        """Look again: the place was moved, or there is room."""
        self._woken.set()

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            if self._buffer.after is None:
                await self._woken.wait()
                self._woken.clear()
                continue
            started = monotonic()
            try:
                await self._follow()
                pause = _FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - whatever it is, the next reader shall know
                self._note(error)
                if monotonic() - started > _SILENCE:
                    pause = _FIRST_PAUSE
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _note(self, error: Exception) -> None:
        """Log what is wrong; what does not pass by itself is told to who reads."""
        passing = isinstance(error, (Broken, Unreached)) and not error.refused
        if passing or is_passing(error):
            _log.info("%s: %s; trying again", self.url, error)
            self.trouble = translated(error, self.url)
            return
        if not isinstance(error, (TidingsError, Broken, Unreached, nats.errors.Error)):
            _log.error("%s cannot be followed", self.url, exc_info=error)
            error = StoreUnavailable(f"{self.url} cannot be followed: {error!r}")
        self._buffer.fail(translated(error, self.url))

    async def _follow(self) -> None:
        """Follow from where the buffer stands, until it is moved or something breaks."""
        self._woken.clear()
        line = await self._connection.line(None)
        moved, after = self._buffer.moved, self._buffer.after
        if after is None:
            return
        state = await self._stream.state(line, _ANSWER)
        self._buffer.note_first(state.first)
        if after + 1 < state.first:
            await self._woken.wait()
            return
        self._ensure_not_behind(after, state.last)
        known = self._last
        if known is not None and (known.sequence != after or known.sequence < state.first):
            known = None
        consumer = _Consumer(self, line, moved, after, known)
        try:
            await consumer.start(self._stream)
            self.trouble = None
            await self._watch(consumer)
        finally:
            await consumer.stop()

    def _ensure_not_behind(self, after: int, last: int) -> None:
        if last >= after:
            self._behind_since = None
            return
        since = self._behind_since = self._behind_since or monotonic()
        words = f"{self.url} ends at entry {last}, and entry {after} was read from it"
        if monotonic() - since < _BEHIND:
            raise Broken(words)
        raise StoreDamaged(f"{words}: its servers have lost entries that they had acknowledged")

    async def _watch(self, consumer: _Consumer) -> None:
        """Wait while all is well: until the place is moved, or nobody reads any more."""
        while True:
            waking = asyncio.ensure_future(self._woken.wait())
            ends: set[asyncio.Future[Any]] = {waking, consumer.broken, consumer.line.lost}
            try:
                await asyncio.wait(ends, timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waking.cancel()
            if consumer.line.lost.done():
                raise Broken(consumer.line.lost.result())
            if consumer.broken.done():
                raise consumer.broken.result()
            if monotonic() - consumer.heard > _SILENCE:
                raise Broken("no heartbeat came")
            refusal = consumer.line.refusal("$JS.FC.")
            if refusal is not None:
                raise Broken(refusal, refused=True)
            self._woken.clear()
            if consumer.moved != self._buffer.moved or self._buffer.rest(_REST):
                return
            await consumer.answer_if_room()

    # What the consumer tells ----------------------------------------------------------------------

    def take(self, moved: int, entry: Entry) -> None:
        """Take in the next entry."""
        if self._buffer.add(moved, entry):
            self._last = entry

    def has_room(self) -> bool:
        """Whether the consumer may be told to go on."""
        return self._buffer.has_room()

    async def missing(self, line: Line, after: int, until: int) -> None:
        """Find out why the stream goes on behind a gap.

        Raises:
            Broken: it was trimmed there: what follows must not be read as if nothing were missing.
        """
        state = await self._stream.state(line, _ANSWER)
        self._buffer.note_first(state.first)
        if state.first > after + 1:
            raise Broken(f"the stream was trimmed up to {state.first - 1}")
        _log.warning(
            "%s: entries %d to %d were removed from the middle of the stream",
            self.url,
            after + 1,
            until - 1,
        )


class _Consumer:
    """One consumer of the server, for as long as nothing is missed.

    Args:
        owner: what it brings entries to.
        line: where it lives.
        moved: the buffer's count when it began.
        after: it brings what follows this sequence.
        known: the entry of that sequence, if it is at hand: the stream must have the same one.

    Attributes:
        line: as given.
        moved: as given.
        heard: when something last came (on the monotonic clock).
        broken: done when something was missed; its result is the error to raise.
    """

    def __init__(
        self, owner: Following, line: Line, moved: int, after: int, known: Entry | None
    ) -> None:
        self._owner = owner
        self._after = after
        self._known = known
        self._count = 0
        self._held: str | None = None
        self._subscription: Subscription | None = None
        self.line = line
        self.moved = moved
        self.heard = monotonic()
        self.broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def start(self, stream: Stream) -> None:
        inbox = self.line.client.new_inbox()
        # No limits here: what is under way is bounded by the server's flow control (32 MiB).
        self._subscription = await self.line.client.subscribe(
            inbox, cb=self._hear, pending_msgs_limit=0, pending_bytes_limit=0
        )
        config = ConsumerConfig(
            description="Tidings: a replica follows",
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._after + (0 if self._known else 1),
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=_HEARTBEAT,
            num_replicas=1,
            mem_storage=True,
        )
        asking = self.line.client.jsm(timeout=_ANSWER).add_consumer(stream.name, config)
        subject = f"$JS.API.CONSUMER.CREATE.{stream.name}"
        await self.line.ask(asking, _ANSWER, subject)
        self.heard = monotonic()

    async def stop(self) -> None:
        """Want no more; the server removes a consumer that nobody listens to."""
        self._break(Broken("it was stopped"))
        if self._subscription is not None:
            with suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()

    def _break(self, error: Exception) -> None:
        if not self.broken.done():
            self.broken.set_result(error)

    async def _hear(self, message: Msg) -> None:
        if self.broken.done():
            return
        self.heard = monotonic()
        try:
            headers = message.headers
            if headers and headers.get(Header.STATUS) == _CONTROL and not message.data:
                await self._control(message, headers)
            else:
                await self._entry(message)
        except Exception as error:  # noqa: BLE001 - it is told where the consumer is watched
            self._break(error)

    async def _entry(self, message: Msg) -> None:
        # $JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.COUNT.TIME.PENDING, or with domain and account
        # in front of the stream.
        tokens = message.reply.split(".")
        offset = 0 if len(tokens) == 9 else 2
        sequence, count = int(tokens[5 + offset]), int(tokens[6 + offset])
        if count != self._count + 1:
            self._break(Broken(f"message {count} of the consumer came after {self._count}"))
            return
        self._count = count
        if self._known is not None:
            self._compare(sequence, message.data)
            return
        if sequence != self._after + 1:
            await self._owner.missing(self.line, self._after, sequence)
        self._after = sequence
        self._owner.take(self.moved, Entry(sequence, message.data))

    def _compare(self, sequence: int, data: bytes) -> None:
        """Hold the entry that was read last against what the stream has in its place."""
        known, self._known = self._known, None
        if known is not None and known != (sequence, data):
            raise StoreDamaged(
                f"{self._owner.url} has another entry {known.sequence} than was read from it: its "
                f"servers have lost entries that they had acknowledged"
            )

    async def _control(self, message: Msg, headers: dict[str, str]) -> None:
        """A heartbeat, or the question whether more may come."""
        reply = message.reply or headers.get(Header.CONSUMER_STALLED)
        if reply:
            self._held = reply
            await self.answer_if_room()
        if message.reply:
            return
        if int(headers.get(Header.LAST_CONSUMER, self._count)) != self._count:
            self._break(Broken(f"message {self._count + 1} of the consumer did not come"))
        elif int(headers.get(Header.LAST_STREAM, 0)) > self._after and self._known is None:
            await self._skipped(int(headers[Header.LAST_STREAM]))

    async def _skipped(self, last: int) -> None:
        """What the consumer went past without bringing it was removed."""
        await self._owner.missing(self.line, self._after, last + 1)
        self._after = last

    async def answer_if_room(self) -> None:
        """Let more come, if it was asked and there is room."""
        if self._held is not None and self._owner.has_room():
            reply, self._held = self._held, None
            with suppress(nats.errors.Error):
                await self.line.client.publish(reply)
