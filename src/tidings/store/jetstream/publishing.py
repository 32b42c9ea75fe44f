"""Adding entries to the stream: each once, in order, and with an honest answer when that fails.

Keeps promise 1: when `publish` returns, the stream has acknowledged every entry. An entry is sent
again under the same name where the answer did not come; JetStream drops the second of two within
two minutes, and the replica drops it for good.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import nats.errors
import nats.js.errors
from nats.js.api import Header

from tidings.errors import OutcomeUnknown
from tidings.store.jetstream.failures import Broken, Unreached, in_words, is_passing, translated
from tidings.store.jetstream.stream import patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.store.jetstream.connection import Connection
    from tidings.store.jetstream.stream import Stream

__all__ = ["HEADERS_BYTES", "MSG_ID", "Sending", "publish"]

MSG_ID = Header.MSG_ID.value

HEADERS_BYTES = 512
"""What is left in a message for its headers: two names and their labels (bytes)."""

_FIRST_TRY, _LONGEST_TRY = 0.5, 4.0
"""How long to wait for one acknowledgement before it is asked for again (seconds)."""

_PAUSE = 0.02


async def publish(
    connection: Connection,
    stream: Stream,
    entries: Sequence[tuple[str, bytes]],
    by: float,
    url: str,
) -> None:
    """Publish entries one after the other, each acknowledged before the next is sent.

    If they were sent at once, one whose answer is lost would be sent again behind the others.

    Args:
        connection: where to send them.
        stream: where they go.
        entries: names and bytes.
        by: by when all must be acknowledged (on the monotonic clock).
        url: the store's, for messages.

    Raises:
        StoreUnavailable: nothing was added.
        OutcomeUnknown: some may have been.
    """
    if stream.identity is None:
        await patiently(connection, stream.state, by, url)
    sending = Sending(connection, stream.name, url)
    for number, (name, data) in enumerate(entries):
        await sending.send(stream.subject, data, {MSG_ID: name}, by, unsure=number > 0)


class Sending:
    """Sends messages to a stream until they are acknowledged.

    Args:
        connection: where to send them.
        stream: the name of the stream that must take them.
        url: the store's, for messages.
    """

    def __init__(self, connection: Connection, stream: str, url: str) -> None:
        self._connection = connection
        self._stream = stream
        self._url = url

    async def send(
        self, subject: str, data: bytes, headers: dict[str, str], by: float, *, unsure: bool = False
    ) -> None:
        """Send one message.

        Args:
            subject: what it is published to.
            data: its bytes.
            headers: with a name (`MSG_ID`), by which the second of two is known.
            by: by when it must be acknowledged (on the monotonic clock).
            unsure: whether something it belongs to was added already.

        Raises:
            StoreUnavailable: nothing was added; its cause is the server's answer.
            OutcomeUnknown: it may have been.
        """
        seconds = _FIRST_TRY
        while True:
            try:
                await self._once(subject, data, headers, by, seconds)
            except Unreached as error:
                raise self._failed(error, unsure=unsure) from error
            except Broken as error:
                if error.refused:
                    raise self._failed(error, unsure=unsure) from error
                unsure = True
                failure: Exception = error
            except (nats.js.errors.Error, nats.errors.MaxPayloadError) as error:
                if not is_passing(error):
                    raise self._failed(error, unsure=unsure) from error
                failure = error
                await asyncio.sleep(_PAUSE)
            else:
                return
            if monotonic() >= by:
                raise self._failed(failure, unsure=unsure) from failure
            seconds = min(2 * seconds, _LONGEST_TRY)

    async def _once(
        self, subject: str, data: bytes, headers: dict[str, str], by: float, seconds: float
    ) -> None:
        line = await self._connection.line(by)
        left = max(by - monotonic(), 0.001)
        sending = line.jetstream.publish(
            subject, data, timeout=left, stream=self._stream, headers=dict(headers)
        )
        await line.ask(sending, min(seconds, left), subject)

    def _failed(self, error: Exception, *, unsure: bool) -> Exception:
        """What to say when it is given up."""
        if not unsure:
            return translated(error, self._url)
        return OutcomeUnknown(
            f"{self._url} was sent a request and did not acknowledge it in time: "
            f"{in_words(error)}; the same events (same ids) may be sent again"
        )
