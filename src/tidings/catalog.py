"""The catalog: the known event types, each with description, payload keys and maybe a JSON Schema.

Keeps: what one process registers, every other process of the same store knows; and promise 5 for
payloads whose type has a schema. A type need not be known to be emitted. It does not decide when
payloads are checked; the bus does, as `TIDINGS_SCHEMA_CHECK` says.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from json import loads
from time import monotonic

from tidings.built_in_types import BUILT_IN
from tidings.errors import (
    InvalidEvent,
    InvalidSetting,
    MissingExtra,
    SchemaViolation,
    StoreUnavailable,
    shorten,
)
from tidings.fields import json_text
from tidings.fields import name as checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from tidings.event import Event
    from tidings.json_schema import PayloadSchema

    class LedgerRecord(Protocol):
        """What a ledger keeps under a key: a JSON value, and a revision that grows."""

        @property
        def revision(self) -> int: ...

        @property
        def value(self) -> Any: ...

    class Ledger(Protocol):
        """The named records of a store, as far as a catalog needs them."""

        def get(self, key: str) -> LedgerRecord | None: ...

        def put(self, key: str, value: Any, expected: int | None = None) -> int: ...

        def keys(self, prefix: str = "") -> list[str]: ...


__all__ = ["BUILT_IN", "Catalog", "SchemaWarning"]

_PREFIX = "type/"
_LONGEST_NAME = 255 - len(_PREFIX)
"""A ledger's key has at most 255 characters."""

_FRESH = 1.0
"""How long `check` goes by what it read from the ledger (seconds)."""


class SchemaWarning(UserWarning):
    """A payload does not fit the JSON Schema of its type, or could not be checked."""


class _Known(namedtuple("_Known", "since until names schemas")):
    """What checks go by: the registered names, and the schemas looked at so far.

    `since` is the registration made here before they were read, `until` when to read them anew.
    """

    __slots__ = ()

    since: object
    until: float
    names: frozenset[str]
    schemas: dict[str, PayloadSchema | None]


class Catalog:
    """The event types a store knows: the built-in ones and those registered in its ledger.

    Args:
        ledger: a store, or anything with its `get`, `put` and `keys`.

    Safe for many threads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # Replaced as a whole, so that no thread sees a half of it, and with no lock, which a fork
        # could leave held.
        self._known = _Known(None, 0.0, frozenset(), {})
        self._registration = object()
        self._prepared: dict[str, tuple[int, PayloadSchema | None]] = {}
        self._warned: set[tuple[str, str]] = set()

    def register(
        self,
        name: str,
        description: str = "",
        payload_keys: Iterable[str] = (),
        schema: dict[str, Any] | None = None,
    ) -> None:
        """Make a type known to every process of this store.

        A type that is registered again is replaced. Registering a built-in type lays what is given
        over it, so it may be given a schema and keeps its description and keys.

        Args:
            name: the event type, at most 250 characters long.
            description: one sentence on what an event of this type says.
            payload_keys: the keys readers may expect in its payload.
            schema: a JSON Schema (an object) for its payload; checked to be one where the extra
                `schema` is installed.

        Raises:
            InvalidEvent: the name is no event type.
            InvalidSetting: another argument is not usable.
            StoreUnavailable: the ledger cannot be written.
        """
        if len(checked_name("type", name)) > _LONGEST_NAME:
            rule = f"must be at most {_LONGEST_NAME} characters long to be registered"
            raise InvalidEvent("type", name, rule)
        entry = _checked_entry(name, description, payload_keys, schema)
        self._ledger.put(_PREFIX + name, entry)
        self._registration = object()

    def names(self) -> list[str]:
        """The known types, sorted."""
        return sorted({*BUILT_IN, *self._registered_names()})

    def info(self, name: str) -> dict[str, Any]:
        """What is known about a type.

        Returns:
            A dict of its own with `description` and `payload_keys`, also `schema` and
            `aggregate_type` where the type has them; empty where it is not known.
        """
        from copy import deepcopy

        record = self._ledger.get(_PREFIX + name) if _can_be_registered(name) else None
        if record is None and name not in BUILT_IN:
            return {}
        registered = {} if record is None else record.value
        return deepcopy(
            {"description": "", "payload_keys": [], **BUILT_IN.get(name, {}), **registered}
        )

    def check(self, event: Event, mode: str) -> None:
        """Compare an event's payload with the schema of its type, if it has one.

        What the ledger says is read once a second at most, so a schema that another process
        registers counts here a second later. Where the ledger cannot be read, what was known before
        holds: an event is not lost over its schema.

        Args:
            event: the event to be emitted.
            mode: `off`, `warn` or `strict`. A `SchemaWarning` is given once for each rule of a
                schema that payloads break, so a service that emits thousands is not flooded.

        Raises:
            SchemaViolation: in strict mode, the payload does not fit; the error names the place in
                the payload and the rule.
            MissingExtra: in strict mode, the type has a schema and the extra is not installed.
        """
        self.check_all([event], mode)

    def check_all(self, events: Iterable[Event], mode: str) -> None:
        """As `check`, for each event; costs next to nothing where no type is registered.

        Raises:
            SchemaViolation, MissingExtra: as for `check`, for the first that does not fit.
        """
        if mode == "off":
            return
        now = monotonic()
        known = self._known
        if now >= known.until or known.since is not self._registration:
            known = self._look_again(now)
        if known.names:
            for event in events:
                if event.type in known.names:
                    self._check_registered(event, self._schema_of(event.type, known), mode)

    def _check_registered(self, event: Event, schema: PayloadSchema | None, mode: str) -> None:
        if schema is None:
            return
        try:
            violation = schema.violation(event.payload)
        except MissingExtra as missing:
            if mode == "strict":
                raise
            message = f"payloads of type {event.type!r} are not checked: {missing}"
            self._warn(event.type, "", message)
            return
        if violation is not None:
            refusal = SchemaViolation(violation.field, violation.value, violation.rule)
            if mode == "strict":
                raise refusal
            self._warn(event.type, violation.broken, f"{refusal} (said once; the event is kept)")

    def _registered_names(self) -> frozenset[str]:
        return frozenset(key[len(_PREFIX) :] for key in self._ledger.keys(_PREFIX))

    def _look_again(self, now: float) -> _Known:
        """Read the names; where they cannot be read, what was known holds for another second."""
        since = self._registration
        schemas: dict[str, PayloadSchema | None] = {}
        try:
            names = self._registered_names()
        except StoreUnavailable:
            _, _, names, schemas = self._known
        known = self._known = _Known(since, now + _FRESH, names, schemas)
        return known

    def _schema_of(self, name: str, known: _Known) -> PayloadSchema | None:
        try:
            return known.schemas[name]
        except KeyError:
            schema = known.schemas[name] = self._read_schema(name)
            return schema

    def _read_schema(self, name: str) -> PayloadSchema | None:
        known = self._prepared.get(name, (0, None))
        try:
            record = self._ledger.get(_PREFIX + name)
        except StoreUnavailable:
            return known[1]
        if record is None:
            return None
        if record.revision != known[0]:
            known = self._prepared[name] = (record.revision, _prepared(name, record.value))
        return known[1]

    def _warn(self, name: str, broken: str, message: str) -> None:
        if (name, broken) not in self._warned:
            self._warned.add((name, broken))
            import warnings

            warnings.warn(message, SchemaWarning, stacklevel=5)


def _can_be_registered(name: str) -> bool:
    try:
        return len(checked_name("type", name)) <= _LONGEST_NAME
    except InvalidEvent:
        return False


def _prepared(name: str, entry: dict[str, Any]) -> PayloadSchema | None:
    from tidings.json_schema import PayloadSchema

    schema = entry.get("schema")
    return PayloadSchema(name, schema) if schema else None


def _checked_entry(
    name: str, description: str, payload_keys: Iterable[str], schema: dict[str, Any] | None
) -> dict[str, Any]:
    """What the ledger keeps of a type: a copy of what is given, without what is empty."""
    if not isinstance(description, str):
        raise InvalidSetting(f"the description of type {shorten(name)} must be a string")
    given = {
        "description": description,
        "payload_keys": _checked_keys(name, payload_keys),
        "schema": schema,
    }
    try:
        text = json_text("type", {field: value for field, value in given.items() if value})
    except InvalidEvent as error:
        raise InvalidSetting(
            f"what is said of type {shorten(name)} cannot be kept: {error}"
        ) from None
    entry: dict[str, Any] = loads(text)
    if schema is not None:
        from tidings.json_schema import ensure_schema

        ensure_schema(name, entry.get("schema", schema))
    return entry


def _checked_keys(name: str, payload_keys: object) -> list[str]:
    if isinstance(payload_keys, Iterable) and not isinstance(payload_keys, str):
        keys = list(payload_keys)
        if all(isinstance(key, str) for key in keys):
            return keys
    raise InvalidSetting(f"the payload keys of type {shorten(name)} must be a list of strings")
