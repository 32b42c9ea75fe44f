"""events-py by its own name: what its documents print, holds as printed."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
import uuid
from datetime import datetime
from typing import Any

import pytest

import events_py
import events_py.models
from tidings import Bus, envelope

# As they stand in the documents: their prompts were lost on the way, and their lines run together.
ENVELOPE = """\
envelope: EventEnvelope = { ... "id": "evt-001", ... "kind": "created", ... \
"payload": {"name": "adapter-1"}, ... "timestamp": "2026-01-01T00:00:00+00:00", ... }
"""
KIND = """\
EventKind.CREATED.value 'created' EventKind("updated") == EventKind.UPDATED True
"""
CREATED = """\
from events_py import EventKind, create_event ev = create_event(EventKind.CREATED, {"name": "foo"})\
 ev["kind"] 'created'
"""
# … and in the source printed beside them, with prompts.
DOCSTRING = """
        >>> from events_py import EventKind, create_event
        >>> ev = create_event(EventKind.CREATED, {"name": "foo"})
        >>> ev["kind"]
        'created'
"""


def statements(text: str) -> list[str]:
    """The statements and outputs of an example whose lines run together, one by one."""
    words = text.split()
    found = []
    while words:
        count = next(n for n in range(len(words), 0, -1) if is_whole(" ".join(words[:n])))
        found.append(" ".join(words[:count]))
        words = words[count:]
    return found


def is_whole(text: str) -> bool:
    """Whether it is Python by itself."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize("module", ["events_py", "events_py.models"])
@pytest.mark.parametrize("text", [ENVELOPE, KIND, CREATED], ids=["envelope", "kind", "create"])
def test_an_example_gives_what_is_printed(text: str, module: str) -> None:
    """Each statement runs, and each value printed after one is what it gives, by either module."""
    names: dict[str, Any] = {}
    exec(f"from {module} import *", names)  # noqa: S102 - as a reader would begin
    pieces = statements(re.sub(r" \.\.\. ", " ", text))
    printed = 0
    while pieces:
        piece = pieces.pop(0)
        try:
            value = eval(piece, names)  # noqa: S307 - the example itself
        except SyntaxError:
            exec(piece, names)  # noqa: S102
            continue
        assert pieces, f"nothing is printed after {piece}"
        assert repr(value) == pieces.pop(0)
        printed += 1
    assert printed or names["envelope"]["payload"] == {"name": "adapter-1"}


def test_the_docstrings_examples_hold() -> None:
    """Both as printed in the documents and as they stand here, which is the same."""
    assert DOCSTRING.strip() in (events_py.create_event.__doc__ or "")
    example = doctest.DocTestParser().get_doctest(DOCSTRING, {}, "seed", None, None)
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("kind", ["created", "other", None, 1, str])
def test_a_kind_that_is_none_is_told_in_its_words(kind: Any) -> None:
    """The message is that of the source printed there."""
    with pytest.raises(ValueError, match="kind must be an EventKind member, got ") as raised:
        events_py.create_event(kind, {})
    assert str(raised.value) == f"kind must be an EventKind member, got {kind!r}"


def test_a_payload_of_none_is_told_in_its_words() -> None:
    """Other empty ones are payloads."""
    with pytest.raises(ValueError, match=r"^payload must not be None$"):
        events_py.create_event(events_py.EventKind.CREATED, None)
    assert events_py.create_event(events_py.EventKind.DELETED, {})["payload"] == {}


def test_an_envelope_is_made_as_there() -> None:
    """Four keys in that order, a UUID where no id is given, the time in UTC with `+00:00`."""
    made = events_py.models.create_event(events_py.EventKind.UPDATED, [1], event_id="")
    assert list(made) == ["id", "kind", "payload", "timestamp"]
    assert str(uuid.UUID(made["id"])) == made["id"]
    assert made["timestamp"].endswith("+00:00")
    assert datetime.fromisoformat(made["timestamp"]).tzinfo is not None
    assert events_py.create_event(events_py.EventKind.UPDATED, 1, "evt-1")["id"] == "evt-1"


def test_either_names_members_are_the_others() -> None:
    """What was made by one name can be published, compared and checked by the other."""
    assert events_py.EventKind is events_py.models.EventKind is envelope.EventKind
    assert events_py.EventEnvelope is events_py.models.EventEnvelope is envelope.EventEnvelope
    with Bus("memory:") as bus:
        made = events_py.create_event(events_py.EventKind.CREATED, {"name": "foo"})
        assert bus.publish(made, subject="adapter/1").type == "created"


def test_it_loads_the_standard_library_only() -> None:
    """Who comes from events-py installs nothing else."""
    script = (
        "import sys, events_py.models\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(run.stdout.split()) - {"events_py", "tidings", "__main__"}
    foreign = {name for name in loaded if name not in sys.stdlib_module_names}
    # What an environment's own start files load is not ours.
    bare = subprocess.run(
        [sys.executable, "-c", script.replace(", events_py.models", "")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert foreign - set(bare.stdout.split()) == set()
