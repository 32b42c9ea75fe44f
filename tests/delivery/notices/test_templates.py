"""Titles and texts of people's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.delivery.notices.telling import Desk, Receiver, task
from tidings.delivery.notices import Notices
from tidings.delivery.notices.templates import NAMES, Template
from tidings.errors import InvalidSetting
from tidings.event import Event

if TYPE_CHECKING:
    from tidings.store.base import Store


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{type} by {context.user}", "job_done by ann"),
        ("{payload.deep.0.x}|{payload.deep.9.x}|{payload.none.x}|{payload.exit_code.x}", "7|||"),
        ("{payload}", '{"exit_code":3,"deep":[{"x":7}]}'),
        ("{{{status}}} 100 %", "{failure} 100 %"),
        ("{aggregate} {workflow} {undertaking}", "run/r1 w1 w1"),
        ("{failed}/{count} {notice} {source}", "1/1 me local"),
        ("{payload.__class__}{payload.deep.__len__}", ""),
    ],
)
def test_what_stands_in_braces(store: Store, receiver: Receiver, template: str, text: str) -> None:
    """Fields, and paths into payload and context; what is not there is empty."""
    event = Event(
        "job_done",
        status="failure",
        payload={"exit_code": 3, "deep": [{"x": 7}]},
        context={"user": "ann"},
        aggregate_type="run",
        aggregate_id="r1",
        correlation_id="w1",
    )
    with Desk(store, receiver.url, name="me", title="T {type}", body=f"<{template}>") as desk:
        store.append([event])
        desk.turn()
    assert receiver.got == [("failure", "T job_done", f"<{text}>")]


def test_a_template_for_an_array(store: Store, receiver: Receiver) -> None:
    """It may say how many ended how, and which failed."""
    body = "{ok} of {tasks} ok in {undertaking}\n{failures}\n{more}"
    with Desk(store, receiver.url, title="{project}: {status}", body=body) as desk:
        store.append([task(0, tasks=2), task(1, "failure", tasks=2, payload={"exit_code": 9})])
        desk.turn()
    ((_, title, text),) = receiver.got
    assert title == "figrecipe: failure"
    assert text.split("\n") == [
        "1 of 2 ok in slurm array 4711",
        "task 1: exit_code 9, host n1, job_id 4713",
        "tidings history --workflow slurm:alps:4711 --status failure",
    ]


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{typ}", "did you mean {type}?"),
        ("{}", "to fill in"),
        ("{payload.}", "to fill in"),
        ("{type", "lone { at character 1; write {{"),
        ("a } b", "lone } at character 3"),
        ("{type!r}", "to fill in"),
        ("{type:>99999999}", "to fill in"),
        ("{type.__class__}", "to fill in"),
        ("x" * 20_000, "at most 16,384 characters"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_given(
    store: Store, template: str, complaint: str
) -> None:
    """A template that could not be filled makes no notice, and what may stand there is said."""
    notices = Notices(store)
    for given_as in ("title", "body"):
        with pytest.raises(InvalidSetting) as raised:
            notices.add("json://127.0.0.1", **{given_as: template})  # type: ignore[arg-type]
        assert complaint in str(raised.value)
    assert notices.list() == []


@given(some.text())
def test_any_text_can_be_meant(text: str) -> None:
    """With its braces doubled a text stands for itself."""
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert Template(doubled).filled({}, {}) == text


@given(some.lists(some.sampled_from([*NAMES, "payload.a.b", "context", "{", "}", "{{", "x"])))
def test_a_template_is_refused_or_filled(parts: list[str]) -> None:
    """Whatever it is made of, it can be filled with nothing once it was taken."""
    for text in ("".join(parts), "".join(f"{{{part}}}" for part in parts)):
        try:
            template = Template(text)
        except InvalidSetting:
            continue
        assert isinstance(template.filled({}, {"payload": 7}), str)
