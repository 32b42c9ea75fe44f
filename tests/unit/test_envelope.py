"""Envelopes: made as documented, published, and given back unchanged."""

from __future__ import annotations

import subprocess
import sys
import typing
import uuid
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.bus import Bus
from tidings.envelope import EventEnvelope, EventKind, create_event, from_event, to_event
from tidings.errors import IdConflict, InvalidEvent
from tidings.event import Event

ENVELOPE: EventEnvelope = {
    "id": "evt-001",
    "kind": "created",
    "payload": {"name": "adapter-1"},
    "timestamp": "2026-01-01T00:00:00+00:00",
}

LOOSE: dict[Any, Any] = dict(ENVELOPE)

REAL = st.characters(codec="utf-8")
LINE = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"))
IDS = st.text(LINE, min_size=1, max_size=40) | st.uuids().map(str) | st.uuids().map(lambda u: u.hex)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(REAL),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(REAL), inner, max_size=4),
    max_leaves=8,
)
TIMESTAMPS = st.datetimes(datetime(1900, 1, 2), datetime(9998, 12, 31)).flatmap(  # noqa: DTZ001 - naive ones too
    lambda moment: st.sampled_from(
        [
            moment.isoformat(),
            moment.isoformat(" ", "seconds"),
            moment.replace(tzinfo=UTC).isoformat(),
            moment.replace(microsecond=0).isoformat() + "Z",
            moment.isoformat(timespec="milliseconds") + "-05:30",
        ]
    )
)


class TestDocumented:
    """What the documents of events-py print, holds as printed."""

    def test_envelope(self) -> None:
        """An envelope is a plain dict of the four keys."""
        envelope: EventEnvelope = {
            "id": "evt-001",
            "kind": "created",
            "payload": {"name": "adapter-1"},
            "timestamp": "2026-01-01T00:00:00+00:00",
        }
        assert envelope == ENVELOPE
        assert list(create_event(EventKind.CREATED, {})) == ["id", "kind", "payload", "timestamp"]
        assert type(create_event(EventKind.CREATED, {})) is dict

    def test_kinds(self) -> None:
        """Three kinds, each a string and a member."""
        assert EventKind.CREATED.value == "created"
        assert EventKind("updated") == EventKind.UPDATED
        assert [kind.value for kind in EventKind] == ["created", "updated", "deleted"]
        assert issubclass(EventKind, str)
        assert issubclass(EventKind, Enum)
        deleted: str = EventKind.DELETED
        assert deleted == "deleted"
        assert str(EventKind.DELETED) == "EventKind.DELETED"  # as `str, Enum` prints, not StrEnum

    def test_create_event(self) -> None:
        """The example: a kind's value, a payload, a fresh UUID, and the time in UTC."""
        before = datetime.now(UTC)
        made = create_event(EventKind.CREATED, {"name": "foo"})
        assert made["kind"] == "created"
        assert type(made["kind"]) is str
        assert made["payload"] == {"name": "foo"}
        assert str(uuid.UUID(made["id"])) == made["id"]
        moment = datetime.fromisoformat(made["timestamp"])
        assert moment.utcoffset() == timedelta(0)
        assert made["timestamp"].endswith("+00:00")
        assert before <= moment <= datetime.now(UTC)

    def test_ids(self) -> None:
        """A given id is taken; without one, or with an empty one, each envelope has its own."""
        assert create_event(EventKind.UPDATED, 1, "evt-1")["id"] == "evt-1"
        assert create_event(EventKind.UPDATED, 1, event_id="evt-1")["id"] == "evt-1"
        made = [create_event(EventKind.UPDATED, 1, given)["id"] for given in (None, "", None)]
        assert len({str(uuid.UUID(given)) for given in made}) == 3

    @pytest.mark.parametrize("kind", ["created", "other", None, 1, str])
    def test_kinds_that_are_none(self, kind: Any) -> None:
        """A kind that is no member is a ValueError, its own value included."""
        with pytest.raises(ValueError, match="kind must be a member of EventKind"):
            create_event(kind, {})

    def test_no_payload(self) -> None:
        """A payload of None is a ValueError; other empty ones are payloads."""
        with pytest.raises(ValueError, match="payload must not be None"):
            create_event(EventKind.CREATED, None)
        empty: tuple[Any, ...] = ({}, [], "", 0, False)
        for payload in empty:
            assert create_event(EventKind.CREATED, payload)["payload"] == payload


CHECKED = """
from tidings.envelope import EventEnvelope, EventKind, create_event

good: EventEnvelope = {"id": "1", "kind": "created", "payload": [1], "timestamp": "now"}
text: str = create_event(EventKind.CREATED, {"name": "foo"})["kind"]
kind: str = EventKind.UPDATED
create_event(EventKind.CREATED, 1, None)
create_event("created", {})  # line 8
bad: EventEnvelope = {"id": "1", "kind": "created", "payload": [1]}  # line 9
create_event(EventKind.CREATED, {})["what"]  # line 10
create_event(EventKind.CREATED, {}, 5)  # line 11

# The same by the names of events-py.
import events_py, events_py.models

other: events_py.EventEnvelope = events_py.create_event(events_py.EventKind.CREATED, {})
word: str = events_py.models.EventKind.UPDATED
events_py.create_event("created", {})  # line 18
wrong: events_py.models.EventEnvelope = {"id": "1", "kind": "created"}  # line 19
"""


class TestTypes:
    """Type checkers know envelopes."""

    def test_hints(self) -> None:
        """The keys and their types, as documented."""
        assert typing.is_typeddict(EventEnvelope)
        assert EventEnvelope.__required_keys__ == {"id", "kind", "payload", "timestamp"}
        hints = typing.get_type_hints(EventEnvelope)
        assert hints == {"id": str, "kind": str, "payload": Any, "timestamp": str}
        hints = typing.get_type_hints(create_event)
        assert hints == {
            "kind": EventKind,
            "payload": Any,
            "event_id": str | None,
            "return": EventEnvelope,
        }

    def test_a_type_checker_sees_mistakes(self, tmp_path: Path) -> None:
        """A check passes what is right and names the lines that are wrong."""
        (tmp_path / "usage.py").write_text(CHECKED)
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
        command += ["--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}", "usage.py"]
        run = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        lines = [line.split(":")[1] for line in run.stdout.splitlines() if ": error:" in line]
        assert lines == ["8", "9", "10", "11", "18", "19"], run.stdout + run.stderr


class TestPublished:
    """An envelope that is published comes back unchanged."""

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(EventKind),
        payload=JSON.filter(lambda value: value is not None),
        event_id=IDS,
        timestamp=TIMESTAMPS,
    )
    def test_any(self, kind: EventKind, payload: Any, event_id: str, timestamp: str) -> None:
        """Any JSON payload, id and timestamp, from the event returned and from the one kept."""
        envelope = EventEnvelope(id=event_id, kind=kind.value, payload=payload, timestamp=timestamp)
        with Bus("memory:") as bus:
            kept = bus.publish(envelope, subject="adapter/a 1", project="rune")
            assert from_event(kept) == envelope
            (read,) = bus.read()
            assert from_event(read) == envelope
            assert from_event(Event.from_dict(read.to_dict())) == envelope
            assert (read.type, read.status, read.project) == (kind.value, "", "rune")
            assert (read.aggregate_type, read.aggregate_id, read.version) == ("adapter", "a 1", 1)

    def test_says_where_it_was_made(self) -> None:
        """A published envelope has the context of its process, if the bus says it."""
        with Bus("memory:") as bus:
            assert bus.publish(ENVELOPE).context["pid"]
            assert from_event(bus.publish({**ENVELOPE, "id": "evt-2"})) == {
                **ENVELOPE,
                "id": "evt-2",
            }
        with Bus("memory:", context=False) as bus:
            assert bus.publish(ENVELOPE).context == {}

    def test_twice_is_once(self) -> None:
        """The same envelope is kept once; another one under its id is refused."""
        with Bus("memory:") as bus:
            first = bus.publish(ENVELOPE)
            assert bus.publish(ENVELOPE).position == first.position == bus.store.head()
            with pytest.raises(IdConflict, match="differs in payload"):
                bus.publish({**ENVELOPE, "payload": {"name": "other"}})
            assert bus.store.head() == first.position

    @pytest.mark.parametrize(
        ("subject", "aggregate", "extensions"),
        [
            (None, (None, None), {}),
            ("adapter/adapter-1", ("adapter", "adapter-1"), {}),
            ("a%2Fb/c/d", ("a/b", "c/d"), {}),
            ("adapter-1", (None, None), {"subject": "adapter-1"}),
            ("/adapter-1", (None, None), {"subject": "/adapter-1"}),
        ],
    )
    def test_subject(
        self,
        subject: str | None,
        aggregate: tuple[str | None, str | None],
        extensions: dict[str, str],
    ) -> None:
        """A subject names an aggregate; where it names none it is kept as it is."""
        event = to_event(ENVELOPE, subject)
        assert (event.aggregate_type, event.aggregate_id) == aggregate
        assert event.extensions == extensions
        assert from_event(event) == ENVELOPE

    def test_a_member_as_kind(self) -> None:
        """A dict that holds a member of the enumeration says the same."""
        event = to_event({**ENVELOPE, "kind": EventKind.CREATED})
        assert type(event.type) is str
        assert from_event(event) == ENVELOPE

    @pytest.mark.parametrize(
        "event",
        [
            Event("job_done"),
            Event("Created"),
            Event("created", payload=None),
            Event.from_dict({"type": "created", "redacted": True}),
        ],
        ids=["another type", "another case", "null", "redacted"],
    )
    def test_events_that_are_none(self, event: Event) -> None:
        """What is no envelope gives none."""
        assert from_event(event) is None


class TestRefused:
    """What is no envelope changes nothing, and the error says why."""

    @pytest.mark.parametrize(
        ("envelope", "message"),
        [
            (None, r"^envelope None must be a dict of id, kind, payload, timestamp$"),
            ([], r"^envelope \[\] must be a dict"),
            ("created", r"^envelope 'created' must be a dict"),
            ({}, r"^envelope \{\} must have the key id$"),
            ({"id": "1", "kind": "created", "payload": {}}, r" must have the key timestamp$"),
            ({**ENVELOPE, "source": "x"}, r" must not have the key source; use the payload$"),
            (LOOSE | {5: "x"}, r" must not have the key 5; "),
            ({**ENVELOPE, "kind": "changed"}, r"^kind 'changed' must be one of created, updated"),
            ({**ENVELOPE, "kind": []}, r"^kind \[\] must be one of"),
            ({**ENVELOPE, "payload": None}, r"^payload None must not be null$"),
            ({**ENVELOPE, "payload": {1, 2}}, r"^payload .* must be a JSON value"),
            ({**ENVELOPE, "payload": float("nan")}, r"^payload nan must be a JSON value"),
            ({**ENVELOPE, "payload": "\ud800"}, r"^payload .* must not contain lone surrogates$"),
            ({**ENVELOPE, "payload": "x" * 1_048_577}, r"^payload .* bytes as JSON"),
            ({**ENVELOPE, "id": ""}, r"^id '' must not be empty$"),
            ({**ENVELOPE, "id": None}, r"^id None must be a string$"),
            ({**ENVELOPE, "id": "a\nb"}, r"^id .* must not contain control characters"),
            ({**ENVELOPE, "id": "x" * 256}, r"^id .* must be at most 255 characters long$"),
            ({**ENVELOPE, "timestamp": ""}, r"^timestamp '' must not be empty$"),
            ({**ENVELOPE, "timestamp": "now"}, r"^timestamp 'now' must be an ISO 8601 timestamp"),
            ({**ENVELOPE, "timestamp": 5}, r"^timestamp 5 must be a string$"),
        ],
        ids=range(21),
    )
    def test_envelopes(self, envelope: Any, message: str) -> None:
        """The error names the key, the value and the rule; nothing is kept."""
        with Bus("memory:") as bus:
            with pytest.raises(InvalidEvent, match=message):
                bus.publish(envelope)
            assert bus.store.head() == 0

    @pytest.mark.parametrize("subject", ["", 5, "run/a\nb", "a\nb", "x" * 256])
    def test_subjects(self, subject: Any) -> None:
        """A subject is a string that an event can hold."""
        with pytest.raises(InvalidEvent, match=r"^(subject|aggregate_id) "):
            to_event(ENVELOPE, subject)

    def test_the_bound_on_payloads(self) -> None:
        """It is the caller's."""
        with pytest.raises(InvalidEvent, match="takes 20 bytes as JSON; at most 19 are allowed"):
            to_event(ENVELOPE, max_payload=19)
        assert to_event(ENVELOPE, max_payload=20).payload == ENVELOPE["payload"]
