"""Keeping: in the store, else in the spool, else the caller is told.

Keeps: *an emitted event is kept somewhere or the caller is told*. Before, it holds payloads against
the schemas of their types; afterwards it writes state files, where they are wanted. It makes no
events; `bus` does.
"""

from __future__ import annotations

from tidings.errors import NotKept, OutcomeUnknown, StoreUnavailable, TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.catalog import Catalog
    from tidings.event import Event
    from tidings.forward import Forwarding
    from tidings.spool import Spool
    from tidings.state_files import StateFiles
    from tidings.store.base import Batch, Store

__all__ = ["Keeping"]


class Keeping:
    """What a bus does with the events it was given.

    Args:
        store: where events are kept.
        spool_directory: where they wait when the store cannot take them.
        state_directory: where state files go; none for nowhere.
        schema_check: `off`, `warn` or `strict`; see `Catalog.check`.
        spooling: whether events wait in the spool when the store cannot take them; without it the
            caller is told why.
        forwarding: forwards what is kept to a cloud; none where none is set.

    Attributes:
        last_failure: why the newest event that went to the spool could not be kept in the store.

    Spool, catalog and state files are loaded when they are first needed, because a shell emit needs
    none of them.
    """

    def __init__(
        self,
        store: Store,
        *,
        spool_directory: str,
        state_directory: str | None,
        schema_check: str,
        spooling: bool = True,
        forwarding: Forwarding | None = None,
    ) -> None:
        self.store = store
        self._forwarding = forwarding
        self._spooling = spooling
        self.last_failure: TidingsError | None = None
        self._spool_directory = spool_directory
        self._state_directory = state_directory
        self._schema_check = schema_check
        self._spool: Spool | None = None
        self._catalog: Catalog | None = None
        self._state_files: StateFiles | None = None

    @property
    def spool(self) -> Spool:
        """Where events wait when the store cannot take them."""
        if self._spool is None:
            from tidings.spool import Spool

            self._spool = Spool(self._spool_directory)
        return self._spool

    @property
    def catalog(self) -> Catalog:
        """The known event types."""
        if self._catalog is None:
            from tidings.catalog import Catalog

            self._catalog = Catalog(self.store)
        return self._catalog

    def keep_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """Keep many independent batches at once, each in the store or else in the spool.

        Returns:
            For each batch its events, without position where they wait in the spool, or the error.
        """
        refusals = [self.violation(batch.events) for batch in batches]
        if refusals.count(None) == len(refusals):
            return self._store_or_spool(batches)
        good = [batch for batch, why in zip(batches, refusals, strict=True) if why is None]
        outcomes = iter(self._store_or_spool(good) if good else ())
        return [next(outcomes) if why is None else why for why in refusals]

    def violation(self, events: Sequence[Event]) -> TidingsError | None:
        """Why the events' payloads do not fit their schemas, if that is to be refused."""
        if self._schema_check == "off":
            return None
        try:
            self.catalog.check_all(events, self._schema_check)
        except StoreUnavailable:
            return None  # The store will say so itself; the event is spooled unchecked.
        except TidingsError as error:
            return error
        return None

    def close(self) -> None:
        """Wait a second at most for what is being forwarded; the store is about to be closed."""
        if self._forwarding is not None:
            self._forwarding.close()

    def _store_or_spool(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        forwarding, sent = self._forwarding, batches
        if forwarding is not None:
            sent = [forwarding.marked(batch) for batch in batches]
        try:
            results = self.store.append_all(sent)
        except (StoreUnavailable, OutcomeUnknown) as failure:
            results = [self._put_in_spool(batch, failure) for batch in batches]
        else:
            results = [
                self._put_in_spool(batch, result)
                if isinstance(result, (StoreUnavailable, OutcomeUnknown))
                else result
                for batch, result in zip(batches, results, strict=True)
            ]
        if forwarding is not None:
            for batch, result in zip(batches, results, strict=True):
                if isinstance(result, list):
                    forwarding.kept(batch.events, result)
        if self._state_directory is not None:
            for result in results:
                if isinstance(result, list):
                    self._write_state(self._state_directory, result)
        return results

    def _put_in_spool(self, batch: Batch, failure: TidingsError) -> list[Event] | Exception:
        if not self._spooling or batch.expected_version is not None or batch.put:
            return failure
        self.last_failure = failure
        waiting: list[str] = []
        forwarding = self._forwarding
        try:
            for event in batch.events:
                forward = "" if forwarding is None else forwarding.url_of(event)
                waiting.append(self.spool.put(event, forward))
        except NotKept as error:
            self._withdraw(waiting)
            error.add_note(f"the store could not take it either: {failure}")
            return error
        return list(batch.events)

    def _withdraw(self, waiting: list[str]) -> None:
        """Take back the first events of a batch whose last ones found no room."""
        for path in waiting:
            self.spool.withdraw(path)

    def _write_state(self, directory: str, events: list[Event]) -> None:
        if self._state_files is None:
            from tidings.state_files import StateFiles

            self._state_files = StateFiles(directory)
        for event in events:
            self._state_files.write(event)
