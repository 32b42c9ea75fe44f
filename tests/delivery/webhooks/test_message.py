"""What a webhook message says: body, headers, and what users may add to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

import tidings
from tests.delivery.webhooks.receivers import endpoint_at
from tidings.cloudevents import from_structured
from tidings.delivery.webhooks.message import checked_headers, message_of
from tidings.errors import InvalidSetting
from tidings.event import Event
from tidings.testing import strategies

NOW = 1_700_000_000_000_000


@given(strategies.events())
def test_a_message_carries_the_event(fields: dict[str, Any]) -> None:
    """Whatever an event says, its receiver reads it, and all headers can be sent."""
    event = Event(**fields)
    message = message_of(endpoint_at("https://example.org/"), event, NOW)
    assert from_structured(message.body) == event
    for name, value in message.headers.items():
        assert name == name.lower()
        assert value.isascii()
        assert value.isprintable()


def test_the_plain_body_is_the_seeds() -> None:
    """The plain form has the six fields of scitex-events' `Event.to_dict`, and no other."""
    event = Event("job_done", "figrecipe", "failure", {"code": 1}, "ci", "2026-01-01T12:00:00Z")
    message = message_of(endpoint_at("https://example.org/", body="plain"), event, NOW)
    assert message.headers["content-type"] == "application/json"
    assert json.loads(message.body) == {
        "type": "job_done",
        "project": "figrecipe",
        "status": "failure",
        "payload": {"code": 1},
        "source": "ci",
        "timestamp": "2026-01-01T12:00:00Z",
    }


def test_it_says_who_sends() -> None:
    """The User-Agent is ours with its version, unless the endpoint wants another."""
    endpoint = endpoint_at("https://example.org/")
    own = endpoint._replace(headers={"user-agent": "figrecipe"})
    agents = [message_of(each, Event("a"), NOW).headers["user-agent"] for each in (endpoint, own)]
    assert agents == [f"tidings/{tidings.__version__}", "figrecipe"]


def test_own_headers_replace_nothing_that_signs() -> None:
    """Even a record that was not checked cannot replace what signs or frames a message."""
    forged = {"webhook-signature": "v1,x", "webhook-id": "1", "content-type": "text/html"}
    endpoint = endpoint_at("https://example.org/", headers=forged)
    headers = message_of(endpoint, Event("a"), NOW).headers
    assert not set(forged.items()) & set(headers.items())


def test_headers_that_are_taken() -> None:
    """A name and a printable value are taken, the name in lower case."""
    given_ = {"Authorization": "Bearer a.b-c==", "X-Team": "figrecipe"}
    assert checked_headers(given_) == {"authorization": "Bearer a.b-c==", "x-team": "figrecipe"}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Webhook-Id": "1"}, "header 'Webhook-Id' is set by Tidings; leave it out"),
        ({"webhook-anything": "1"}, "is set by Tidings"),
        ({"Host": "localhost"}, "is set by Tidings"),
        ({"content-length": "0"}, "is set by Tidings"),
        ({"Transfer-Encoding": "chunked"}, "is set by Tidings"),
        ({"Proxy-Authorization": "Basic x"}, "is set by Tidings"),
        ({"x-a": "1", "X-A": "2"}, "must be given once"),
        ({"x a": "1"}, "must be a name such as x-team"),
        ({"x-a:": "1"}, "must be a name such as x-team"),
        ({"": "1"}, "must be a name such as x-team"),
        ({"x-ä": "1"}, "must be a name such as x-team"),
        ({3: "1"}, "must be a name such as x-team"),
        ({"x-a": ""}, "must be printable ASCII"),
        ({"x-a": "s3cret\r\nhost: b"}, "must be printable ASCII without line breaks"),
        ({"x-a": "s3cret\n"}, "must be printable ASCII without line breaks"),
        ({"x-a": "s3cret\x00"}, "must be printable ASCII without line breaks"),
        ({"x-a": "s3crét"}, "must be printable ASCII without line breaks"),
        ({"x-a": 3}, "must be printable ASCII without line breaks"),
        ({"x-a": "x" * 2001}, "must be at most 2000 characters"),
        ({f"x-{number}": "1" for number in range(21)}, "at most 20 headers"),
    ],
)
def test_headers_that_are_refused(headers: dict[Any, Any], why: str) -> None:
    """A header that cannot be sent, or is Tidings' own, is refused without its value."""
    with pytest.raises(InvalidSetting) as refused:
        checked_headers(headers)
    assert why in str(refused.value)
    assert "s3cr" not in str(refused.value)
