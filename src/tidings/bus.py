"""The bus: what users hold to emit events, read them back and follow them.

Keeps promise 4 for emits (they wait no longer than the deadline, then spool) and: *an emitted event
is kept somewhere or the caller is told*. `making` makes the events, `keeping` falls back to the
spool. It knows what to call for which events (`on`): listeners it calls, handlers are run by
`subscriptions`. It knows no backend; `aio` is its face for asyncio.
"""

from __future__ import annotations

from tidings import settings
from tidings.errors import StoreClosed
from tidings.keeping import Keeping
from tidings.making import Making
from tidings.store import open_store
from tidings.store.base import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from tidings.catalog import Catalog
    from tidings.envelope import EventEnvelope
    from tidings.errors import TidingsError
    from tidings.event import Event
    from tidings.forward import Forwarding
    from tidings.handlers import Handler
    from tidings.listeners import Listeners
    from tidings.schedule import Schedule
    from tidings.spool import Collected, Spool
    from tidings.store.base import Reading, Store
    from tidings.store.query import Query

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["Bus"]

OWN_TYPES = "tidings.*"
"""What Tidings says of itself; not followed unless asked for, so that nothing feeds on itself."""


class Bus:
    """Emits events to a store, reads them back and follows them.

    Args:
        store: a URL such as `sqlite:///events.db`, a `Store`, or none for `TIDINGS_URL` (by default
            SQLite in `~/.tidings`). Nothing is opened before it is needed, so making a bus does not
            fail because a store is away.
        spool: the directory where events wait when the store cannot take them; none for
            `TIDINGS_SPOOL`.
        state_dir: where each emit also writes `{type}_latest.json` and `history.jsonl`; none for
            `TIDINGS_STATE_DIR`, which by default is nowhere.
        context: whether emitted events say where they were made.
        deadline: the longest an emit waits for locks and connections (seconds); none for
            `TIDINGS_DEADLINE`, 1 s. Of no effect where `store` is a `Store`.
        spooling: whether events wait in the spool when the store cannot take them. Without it an
            emit raises `StoreUnavailable` or `OutcomeUnknown`: a server does so, as its clients
            have spools of their own.
        forward: the address where its events are forwarded to, and the key that is shown there;
            none for `TIDINGS_API_URL` and `TIDINGS_API_KEY`.

    Raises:
        InvalidSetting: the URL names no backend, or a setting is not usable.

    Safe for many threads, and after a fork. As a context manager it closes itself.

    Attributes:
        handlers: what `on` was told to call by a name, for a worker to run.

    >>> with Bus("memory:") as bus:
    ...     event = bus.emit("job_done", "figrecipe", payload={"job_id": 4711})
    ...     bus.latest("job_done") == event
    True
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        spool: str | None = None,
        state_dir: str | None = None,
        context: bool = True,
        deadline: float | None = None,
        spooling: bool = True,
        forward: tuple[str, str] | None = None,
    ) -> None:
        given = settings.default_url() if store is None else store
        self.store: Store = (
            open_store(given, deadline=deadline) if isinstance(given, str) else given
        )
        self._keeping = Keeping(
            self.store,
            spool_directory=spool or settings.spool_directory(),
            state_directory=state_dir or settings.state_directory(),
            schema_check=settings.schema_check(),
            spooling=spooling,
            forwarding=self._forwarding(forward) if spooling else None,
        )
        self._making = Making(context=context, max_payload=settings.max_payload())
        self.handlers: list[Handler] = []
        self.listeners: Listeners | None = None
        self._closed = False

    def _forwarding(self, given: tuple[str, str] | None) -> Forwarding | None:
        """What forwards its events to a cloud, where one is given or set."""
        target = given or settings.api_target()
        if target is None:
            return None
        from tidings.forward import Forwarding

        return Forwarding(self.store, *target)

    @property
    def url(self) -> str:
        """The store's URL."""
        return self.store.url

    # Emitting -------------------------------------------------------------------------------------

    def emit(
        self,
        event_type: str,
        project: str = "",
        status: str = "success",
        payload: Mapping[str, Any] | None = None,
        source: str | None = None,
        *,
        expected_version: int | None = None,
        **fields: Any,
    ) -> Event:
        """Say that something happened.

        Args:
            event_type: what happened, such as `job_done`.
            project: what it belongs to.
            status: its outcome: `success`, `failure`, or empty where it has none.
            payload: what there is to say about it, an object.
            source: where it comes from; none for what the context says: `local`, `hpc` or `ci`.
            expected_version: the version its aggregate must stand at, 0 for a new one. The event is
                then never spooled.
            fields: further fields by keyword: `id`, `timestamp`, `aggregate_type`, `aggregate_id`,
                `correlation_id`, `causation_id`, `user_id`, `extensions`; see `Event`.

        Returns:
            The stored event. Where the store could not take it, it waits in the spool and has no
            position; `last_failure` says why.

        Raises:
            InvalidEvent: a field breaks its rule; nothing was kept.
            VersionConflict: the aggregate stands at another version.
            IdConflict: the id belongs to another event.
            NotKept: neither store nor spool could take it.
        """
        event = self._making.event(event_type, project, status, payload, source, **fields)
        return self._keep([event], expected_version)[0]

    def emit_many(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Event]:
        """Keep many events in one append, all or none.

        Args:
            events: events, or dicts of their fields (see `Event.from_dict`); dicts are given the
                context of this process.

        Returns:
            The stored events, as for `emit`.

        Raises:
            InvalidEvent, IdConflict, NotKept: as for `emit`, for all of them.
        """
        return self._keep(self.events(events), None)

    def publish(
        self,
        event: Event | EventEnvelope,
        *,
        subject: str | None = None,
        project: str = "",
        expected_version: int | None = None,
    ) -> Event:
        """Keep an event or an envelope as it is.

        Args:
            event: an event, or an envelope made by `create_event`.
            subject: what an envelope is about, as `aggregate_type/aggregate_id`.
            project: what an envelope belongs to.
            expected_version: as for `emit`.

        Returns:
            The stored event; `tidings.envelope.from_event` gives the envelope back.

        Raises:
            InvalidEvent, VersionConflict, IdConflict, NotKept: as for `emit`.
        """
        return self._keep([self.published(event, subject, project)], expected_version)[0]

    def event(self, event_type: str, *args: Any, **fields: Any) -> Event:
        """Make the event that `emit` would keep, and keep nothing; arguments as there."""
        return self._making.event(event_type, *args, **fields)

    def events(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Event]:
        """The events that `emit_many` would keep; keeps nothing."""
        return [self._making.event_of(event) for event in events]

    def published(self, event: Event | EventEnvelope, subject: str | None, project: str) -> Event:
        """The event that `publish` would keep; keeps nothing."""
        return self._making.published(event, subject, project)

    def check(self, event: Event) -> None:
        """See that the event's payload fits the schema of its type, as before it is kept.

        Raises:
            SchemaViolation: it does not, and `TIDINGS_SCHEMA_CHECK` is `strict`.
        """
        violation = self._keeping.violation([event])
        if violation is not None:
            raise violation

    # Keeping --------------------------------------------------------------------------------------

    def _keep(self, events: Sequence[Event], expected_version: int | None) -> list[Event]:
        (result,) = self.keep_all([Batch(events, expected_version)])
        if isinstance(result, Exception):
            raise result
        return result

    def keep_all(
        self, batches: Sequence[Batch], *, tell: bool = True
    ) -> list[list[Event] | Exception]:
        """Keep many independent batches at once, each in the store or else in the spool.

        Args:
            batches: what to keep.
            tell: whether listeners hear of it, in this thread; `AsyncBus` tells them in its loop.

        Returns:
            For each batch its events, or what `emit` would raise.
        """
        if self._closed:
            raise StoreClosed(f"this bus on {self.url} was closed; make a new one")
        results = self._keeping.keep_all(batches)
        if tell and self.listeners is not None:
            self.listeners.tell(results)
        return results

    @property
    def last_failure(self) -> TidingsError | None:
        """Why the newest event that went to the spool could not be kept in the store."""
        return self._keeping.last_failure

    @property
    def spool(self) -> Spool:
        """Where events wait when the store cannot take them."""
        return self._keeping.spool

    @property
    def catalog(self) -> Catalog:
        """The known event types."""
        return self._keeping.catalog

    def collect(self) -> Collected:
        """Move what waits in the spool into the store.

        Raises:
            StoreUnavailable: the store cannot take it yet; it goes on waiting.
        """
        return self.spool.collect(self.store)

    # Reading --------------------------------------------------------------------------------------

    def latest(self, event_type: str | None = None) -> Event | None:
        """The newest event, of one type if given."""
        return self.store.latest(event_type)

    def history(self, limit: int = 20, **filters: Any) -> list[Event]:
        """The newest events, newest first.

        Args:
            limit: at most so many.
            filters: which ones; see `Query`.
        """
        return list(self.read(limit=limit, backwards=True, **filters))

    def read(self, query: Query | None = None, **filters: Any) -> Reading:
        """Read events by position; see `Store.read`.

        Args:
            query: which ones; or
            filters: the arguments of a `Query`.

        Raises:
            InvalidQuery: a filter makes no sense.
            HistoryPruned: the events to go on from were pruned away.
        """
        return self.store.read(_query(query, filters))

    def follow(
        self, *, after: int = 0, timeout: float | None = None, **filters: Any
    ) -> Iterator[Event]:
        """Give the events past a position, then each new one as soon as it is kept.

        Nothing is missed or repeated, whoever writes. Events of `tidings.*` types are left out
        unless `types` names them.

        Args:
            after: a position; 0 for all that is kept, `store.head()` for new ones only.
            timeout: ends when none came for so long (seconds); none goes on for good.
            filters: which ones; see `Query`. With `before` it ends at that position.

        Raises:
            HistoryPruned: the events to go on from were pruned away.

        It ends when the bus is closed.
        """
        from tidings.following import follow

        try:
            yield from follow(self.store, followed(_query(None, filters)), after, timeout)
        except StoreClosed:
            if not self._closed:
                raise

    def wait_for(
        self, *, after: int | None = None, timeout: float | None = None, **filters: Any
    ) -> Event | None:
        """Wait for the first event that matches.

        Args:
            after: only events past this position; none for new ones only.
            timeout: the longest to wait (seconds); none waits for good.
            filters: which ones; see `Query`.

        Returns:
            The event, or none when time was up or the bus was closed.
        """
        start = self.store.head() if after is None else after
        return next(self.follow(after=start, timeout=timeout, **filters), None)

    # Handlers -------------------------------------------------------------------------------------

    def on(
        self,
        *types: str,
        name: str | None = None,
        from_: str | int = "beginning",
        partitions: int = 1,
        attempts: int = 10,
        schedule: Schedule | None = None,
        on_failure: str = "skip",
        outbox: bool = False,
        **filters: Any,
    ) -> Callable[[F], F]:
        """Have a function, plain or async, called for events: `@bus.on("job.*", name="notify")`.

        With a name it is a *handler*: workers call it (`tidings worker`), at least once for each
        event, in order for each aggregate, and go on from where they were. Without one it is a
        *listener*: called in this process for what this bus keeps; what it raises is logged.

        Args:
            types: of which types, exact or with a `*` at the end; none for all but `tidings.*`.
            name: names the subscription, whose position is kept.
            from_: where a new subscription begins: `beginning`, `now`, or past a position.
            partitions: so many processes and threads work at it at the same time, by aggregate.
            attempts: how often a failing event is tried in all; pauses double from one second on.
            schedule: the pauses themselves, in place of `attempts`.
            on_failure: once an event was given up, `skip` goes on with its aggregate's next one,
                `hold` waits for a person.
            outbox: whether the function takes an `Outbox` as well; what it emits there is kept in
                one transaction with the note that the event was handled.
            filters: which events; see `Filter`, and `exclude` of `Query`.

        Raises:
            InvalidSetting: an argument makes no sense, or another handler has this name.
            InvalidQuery: a filter makes no sense.
        """
        from tidings.handlers import declared, wanted

        query = followed(wanted(types, filters))

        def declare(function: F) -> F:
            handler = declared(
                self.handlers, function, name, query, from_, partitions, attempts, schedule,
                on_failure, outbox,
            )  # fmt: skip
            if handler.name is None:
                self._listen(handler)
            return function

        return declare

    def _listen(self, listener: Handler) -> None:
        if self.listeners is None:
            from tidings.listeners import Listeners

            self.listeners = Listeners()
        self.listeners.add(listener)

    # Types ----------------------------------------------------------------------------------------

    def register_type(
        self,
        name: str,
        description: str = "",
        payload_keys: Iterable[str] = (),
        schema: dict[str, Any] | None = None,
    ) -> None:
        """Make an event type known to every process of this store; see `Catalog.register`."""
        self.catalog.register(name, description, payload_keys, schema)

    def list_types(self) -> list[str]:
        """The known event types, sorted."""
        return self.catalog.names()

    def get_type_info(self, event_type: str) -> dict[str, Any]:
        """What is known of a type: description, payload keys, maybe a schema; else empty."""
        return self.catalog.info(event_type)

    # Its end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store; followers end. A second call does nothing.

        Async listeners are waited for, ten seconds at most; what is being forwarded, one second.
        """
        if self.listeners is not None:
            self.listeners.close()
        self._closed = True
        self._keeping.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Bus({self.url!r})"


def followed(query: Query) -> Query:
    """The query without our own types, unless it names them."""
    if any(pattern.startswith("tidings.") for pattern in query.types):
        return query
    from tidings.store.query import Filter

    conditions = dict(query.exclude.conditions()) if query.exclude is not None else {}
    conditions["types"] = (*conditions.get("types", ()), OWN_TYPES)
    return query.replace(exclude=Filter(**conditions))


def _query(query: Query | None, filters: dict[str, Any]) -> Query:
    from tidings.store.query import Query

    if query is None:
        return Query(**filters)
    return query.replace(**filters) if filters else query
