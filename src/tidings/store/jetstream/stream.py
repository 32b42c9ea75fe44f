"""The stream that keeps a store's log: how it is made, and when one that is there is refused.

Keeps promise 1 where others could break it: a stream that forgets by age, by number or with the
servers' memory is no log. It is never changed here; whoever runs the servers does that.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import NamedTuple

import nats.js.errors
from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from tidings.errors import InvalidSetting, StoreDamaged, StoreUnavailable
from tidings.store.jetstream.failures import Broken, Unreached, is_passing, translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from nats.js.api import StreamInfo

    from tidings.store.jetstream.address import Address
    from tidings.store.jetstream.connection import Connection, Line

__all__ = ["Stream", "StreamState", "patiently"]

_DUPLICATE_WINDOW = 120.0
_LEAST_MESSAGE = 64 * 1024
_ANSWER = 5.0
"""How long one question may take before it is put again (seconds)."""

_PAUSE = 0.05
_EXISTS = 10058


class StreamState(NamedTuple):
    """What a stream says of itself.

    Attributes:
        identity: its name and when it was made.
        first: the sequence of its first entry; one past the last where it has none.
        last: the sequence of its newest entry; 0 for none.
        info: all of it.
    """

    identity: str
    first: int
    last: int
    info: StreamInfo


class Stream:
    """The stream of a store.

    Args:
        address: the store's.

    Attributes:
        name: the stream's name.
        subject: what entries are published to.
        identity: its identity, once it was seen; it is then the only one that will do.
        most_bytes: the largest message it takes; none where it sets no bound.
    """

    def __init__(self, address: Address, identity: str | None = None) -> None:
        self._address = address
        self.name = address.name
        self.subject = f"tidings.{address.name}.log"
        self.identity = identity
        self.most_bytes: int | None = None

    async def state(self, line: Line, seconds: float) -> StreamState:
        """Ask the stream; it is made where it is not there and was not seen before.

        Raises:
            Broken: no answer came.
            TidingsError: it is not what it was, or does not fit.
        """
        try:
            info = await self._info(line, seconds)
        except nats.js.errors.NotFoundError as error:
            if self.identity is not None:
                raise translated(error, self._address.url) from error
            info = await self._made(line, seconds)
        return self._checked(info)

    async def _info(self, line: Line, seconds: float) -> StreamInfo:
        manager = line.client.jsm(timeout=seconds)
        asking = manager.stream_info(self.name)
        return await line.ask(asking, seconds, f"$JS.API.STREAM.INFO.{self.name}")

    async def _made(self, line: Line, seconds: float) -> StreamInfo:
        manager = line.client.jsm(timeout=seconds)
        asking = manager.add_stream(self._config())
        try:
            return await line.ask(asking, seconds, f"$JS.API.STREAM.CREATE.{self.name}")
        except nats.js.errors.APIError as error:
            if error.err_code != _EXISTS:
                raise
            # Another was faster, perhaps with another setting.
            return await self._info(line, seconds)

    def _config(self) -> StreamConfig:
        return StreamConfig(
            name=self.name,
            description=f"Tidings: the log of the store {self.name}. Entries must not be removed.",
            subjects=[self.subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=self._address.replicas or 1,
            discard=DiscardPolicy.NEW,
            max_age=0,
            max_bytes=-1,
            max_msgs=-1,
            max_consumers=-1,
            duplicate_window=_DUPLICATE_WINDOW,
            deny_delete=True,
        )

    def _checked(self, info: StreamInfo) -> StreamState:
        made = info.created
        identity = f"{self.name} {'' if made is None else made.isoformat()}"
        if self.identity is None:
            problems = self.unfit(info)
            if problems:
                raise StoreUnavailable(
                    f"the stream {self.name} of {self._address.url} cannot keep a store: "
                    f"{'; '.join(problems)}. Change the stream with `nats stream edit "
                    f"{self.name}`, or choose another name"
                )
            self._ensure_replicas(info)
            self.identity = identity
        elif identity != self.identity:
            raise StoreDamaged(
                f"the stream {self.name} of {self._address.url} was deleted and made anew while "
                f"the store was open; open the store again"
            )
        largest = info.config.max_msg_size or -1
        self.most_bytes = largest if largest > 0 else None
        return StreamState(identity, info.state.first_seq, info.state.last_seq, info)

    def _ensure_replicas(self, info: StreamInfo) -> None:
        wanted, found = self._address.replicas or 1, info.config.num_replicas or 1
        if found < wanted:
            raise InvalidSetting(
                f"the stream {self.name} of {self._address.url} is kept on {found} server(s), not "
                f"on {wanted}; run `nats stream edit {self.name} --replicas {wanted}`, or leave "
                f"replicas= out"
            )

    def unfit(self, info: StreamInfo) -> list[str]:
        """What keeps a stream from being a log, in words; nothing where it will do."""
        config = info.config
        bounded = any((bound or -1) > 0 for bound in (config.max_bytes, config.max_msgs))
        largest = config.max_msg_size or -1
        wrong = {
            f"its subjects are {config.subjects}, not {self.subject}": config.subjects
            != [self.subject],
            "its storage is memory, which forgets": config.storage != StorageType.FILE,
            "its retention is not limits": config.retention != RetentionPolicy.LIMITS,
            "max_age is set, so it forgets": bool(config.max_age),
            "it has a bound and discards the oldest; set discard to new": bounded
            and config.discard != DiscardPolicy.NEW,
            "max_msgs_per_subject is set, so it forgets": (config.max_msgs_per_subject or -1) > 0,
            f"max_msg_size is below {_LEAST_MESSAGE}": 0 < largest < _LEAST_MESSAGE,
            "it acknowledges nothing (no_ack)": config.no_ack,
            "it acknowledges before it keeps (persist_mode async)": config.persist_mode == "async",
            "it is sealed": config.sealed,
            "it denies purges, so it cannot be trimmed": config.deny_purge,
            "it mirrors or collects other streams": bool(config.mirror or config.sources),
            "it changes subjects": config.subject_transform is not None,
            "it is a counter": bool(config.allow_msg_counter),
        }
        return [words for words, holds in wrong.items() if holds]


async def patiently(
    connection: Connection, ask: Callable[[Line, float], Awaitable[Any]], by: float, url: str
) -> Any:
    """Put a question that does no harm twice, again and again until it is answered.

    Args:
        connection: where to put it.
        ask: puts it on a line, within so many seconds.
        by: by when there must be an answer (on the monotonic clock).
        url: the store's, for the message.

    Raises:
        StoreUnavailable: there was none, or it was a refusal.
    """
    failure: Exception = Broken("no answer came in time")
    while True:
        try:
            line = await connection.line(by)
            return await ask(line, min(_ANSWER, max(by - monotonic(), 0.001)))
        except Unreached as error:
            raise translated(error, url) from error
        except Broken as error:
            failure = error
        except nats.js.errors.Error as error:
            if not is_passing(error):
                raise translated(error, url) from error
            failure = error
        if monotonic() >= by or getattr(failure, "refused", False):
            raise translated(failure, url) from failure
        await asyncio.sleep(min(_PAUSE, max(by - monotonic(), 0.0)))
