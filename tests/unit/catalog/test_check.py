"""Payloads are held against the schemas of their types, where the library is installed."""

from __future__ import annotations

import subprocess
import sys
import warnings
from threading import Thread
from typing import Any

import pytest

from tests.unit.catalog.schemas import BAD, GOOD, SCHEMA, registered
from tidings.bus import Bus
from tidings.catalog import SchemaWarning
from tidings.errors import (
    SchemaViolation,
)
from tidings.event import Event
from tidings.store.base import Store
from tidings.store.memory import MemoryStore


class TestCheck:
    """Payloads are held against the schema of their type."""

    def test_off(self, store: Store) -> None:
        """Nothing is looked at."""
        registered(store, SCHEMA).check(BAD, "off")

    def test_strict(self, store: Store) -> None:
        """A payload that fits passes, one that does not is refused, with place and rule."""
        catalog = registered(store, SCHEMA)
        catalog.check(GOOD, "strict")
        with pytest.raises(SchemaViolation) as caught:
            catalog.check(BAD, "strict")
        assert str(caught.value) == (
            "payload.job_id 'x' does not fit the schema of type 'job_done': "
            "'x' is not of type 'integer'"
        )
        assert (caught.value.field, caught.value.value) == ("payload.job_id", "x")

    @pytest.mark.parametrize(
        ("payload", "field", "rule"),
        [
            ({"job_id": 1, "runs": [1, {"n": "a"}]}, "payload.runs[1].n", "not of type 'integer'"),
            ({}, "payload", "'job_id' is a required property"),
            ([], "payload", "not of type 'object'"),
            (None, "payload", "not of type 'object'"),
            ({"job_id": 1, "runs": "x" * 10_000}, "payload.runs", "type must be 'array'"),
        ],
    )
    def test_says_where(self, payload: Any, field: str, rule: str) -> None:
        """The error names the place in the payload, whatever is there, and stays short."""
        run = {"properties": {"n": {"type": "integer"}}}
        runs = {"runs": {"type": "array", "items": run}}
        schema = {**SCHEMA, "properties": {"job_id": {"type": "integer"}, **runs}}
        with pytest.raises(SchemaViolation) as caught:
            registered(MemoryStore(), schema).check(Event("job_done", payload=payload), "strict")
        assert caught.value.field == field
        assert rule in caught.value.rule
        assert len(str(caught.value)) < 400

    def test_warn(self, store: Store) -> None:
        """A warning says it once for each rule that is broken, and the event is let pass."""
        catalog = registered(store, SCHEMA)
        with pytest.warns(SchemaWarning, match=r"^payload\.job_id 'x' does not fit .*said once"):
            catalog.check(BAD, "warn")
        with pytest.warns(SchemaWarning, match="'job_id' is a required property"):
            catalog.check(Event("job_done"), "warn")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                catalog.check(BAD, "warn")
                catalog.check(Event("job_done"), "warn")
                catalog.check(GOOD, "warn")

    def test_many(self, store: Store) -> None:
        """Of many events, the first that does not fit is the one that is told of."""
        catalog = registered(store, SCHEMA)
        catalog.check_all([GOOD, Event("unknown", payload=5), GOOD], "strict")
        catalog.check_all([BAD], "off")
        with pytest.raises(SchemaViolation, match=r"^payload\.job_id 'x'"):
            catalog.check_all([GOOD, BAD, Event("job_done")], "strict")

    def test_other_types(self, store: Store) -> None:
        """A type without a schema, registered or not, may say anything."""
        catalog = registered(store, SCHEMA)
        catalog.register("mine", payload_keys=["a"])
        catalog.register("any", schema={})
        for name in ("mine", "any", "build_result", "unknown"):
            catalog.check(Event(name, payload=5), "strict")

    @pytest.mark.parametrize(("mode", "kept"), [("off", 1), ("warn", 1), ("strict", 0)])
    def test_on_a_bus(self, mode: str, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """`TIDINGS_SCHEMA_CHECK` decides what happens to a payload that does not fit."""
        monkeypatch.setenv("TIDINGS_SCHEMA_CHECK", mode)
        with Bus("memory:") as bus:
            bus.register_type("job_done", schema=SCHEMA)
            if mode == "strict":
                with pytest.raises(SchemaViolation, match=r"^payload\.job_id 'x'"):
                    bus.emit("job_done", payload={"job_id": "x"})
            elif mode == "warn":
                with pytest.warns(SchemaWarning, match=r"^payload\.job_id 'x'"):
                    bus.emit("job_done", payload={"job_id": "x"})
            else:
                bus.emit("job_done", payload={"job_id": "x"})
            assert bus.store.head() == kept
            assert bus.emit("job_done", payload={"job_id": 4711}).position == kept + 1

    def test_from_many_threads(self, store: Store) -> None:
        """Threads that check at once, while another registers, come to right verdicts."""
        catalog = registered(store, SCHEMA)
        wrong: list[BaseException | str] = []

        def check() -> None:
            for _ in range(50):
                try:
                    catalog.check(GOOD, "strict")
                    catalog.check(BAD, "strict")
                    wrong.append("a payload that does not fit passed")
                except SchemaViolation:
                    continue
                except BaseException as error:  # noqa: BLE001 - the test shows whatever it is
                    wrong.append(error)

        threads = [Thread(target=check) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(10):
            catalog.register(f"mine.{number}")
            catalog.register("job_done", schema=SCHEMA)
        for thread in threads:
            thread.join()
        assert wrong == []


WITHOUT_LIBRARY = """
import sys
import warnings
sys.modules["jsonschema"] = None  # importing it now fails, as where it is not installed

from tidings.catalog import Catalog, SchemaWarning
from tidings.errors import InvalidSetting, MissingExtra
from tidings.event import Event
from tidings.store.memory import MemoryStore

catalog = Catalog(MemoryStore())
catalog.register("job_done", schema={"type": "object"})
try:
    catalog.register("job_done", schema=[])
except InvalidSetting as error:
    print(error)
catalog.check(Event("job_done", payload=5), "off")
catalog.check(Event("build_result", payload=5), "strict")
try:
    catalog.check(Event("job_done"), "strict")
except MissingExtra as error:
    print(error)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(3):
        catalog.check(Event("job_done"), "warn")
for warning in said:
    print(warning.category.__name__, warning.message)
"""

UNLOADED = """
import sys
from tidings.bus import Bus
with Bus("memory:") as bus:
    bus.register_type("mine", "Ours", ["a"])
    bus.emit("mine", payload={"a": 1})
print([name for name in ("jsonschema", "referencing") if name in sys.modules])
"""


class TestLibrary:
    """The library stands behind the extra `schema`, and is loaded where a type has one."""

    def test_where_it_is_missing(self) -> None:
        """Strict says how to install it, warn says it once, and the rest goes on."""
        run = subprocess.run(
            [sys.executable, "-c", WITHOUT_LIBRARY],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        install = (
            "checking payloads against a JSON Schema needs an optional dependency: "
            "pip install 'tidings[schema]'"
        )
        assert run.stdout.splitlines() == [
            "the schema of type 'job_done' must be an object",
            install,
            f"SchemaWarning payloads of type 'job_done' are not checked: {install}",
        ]

    def test_where_it_is_not_needed(self) -> None:
        """Registering and emitting without a schema does not load it."""
        run = subprocess.run(
            [sys.executable, "-c", UNLOADED],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.stdout == "[]\n"
