"""What stands on the line: nothing in an event forges a frame."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from hypothesis import given
from hypothesis import strategies as st

from tests.server.live.wire_events import Message, Reader, messages_in
from tidings.event import Event
from tidings.event_item import item_json
from tidings.record import PAYLOAD, POSITION, TYPE
from tidings.server.live import frames

NASTY = ["\r", "\n", "\r\n\r\n", "\0", "\ufeff", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c"]
FORGED = "\n\nid: 999\nevent: gap\ndata: forged\n\n"
texts = st.lists(
    st.one_of(st.sampled_from([*NASTY, FORGED, ":", " ", "id: 1", "data:", "*"]), st.text()),
    max_size=6,
).map("".join)


def event_with(position: int, type_: str, payload_text: str) -> Event:
    """An event as a store may give it, also one that a check would have refused."""
    record = list(Event("x", payload={}).record)
    record[POSITION], record[TYPE], record[PAYLOAD] = position, type_, payload_text
    return Event.from_record(tuple(record))


def sayable(text: str) -> bool:
    """Whether the text can be sent at all: UTF-8 has no lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@given(
    st.lists(st.tuples(texts.filter(sayable).filter(bool), texts.filter(sayable)), max_size=4),
    st.sampled_from(frames.NAMINGS),
    st.booleans(),
)
def test_an_event_cannot_forge_a_frame(
    said: list[tuple[str, str]], naming: str, spread: bool
) -> None:
    """Whatever type and payload hold, one event is one message with its own id, name and data."""
    events = [
        event_with(n, type_, json.dumps({"t": text}, ensure_ascii=False, indent=spread or None))
        for n, (type_, text) in enumerate(said, 1)
    ]
    stream = frames.join(naming, events, [frames.frame_of(event) for event in events])

    messages = messages_in(stream)

    assert [message.last_id for message in messages] == [str(e.position) for e in events]
    for message, event in zip(messages, events, strict=True):
        assert json.loads(message.data) == json.loads(item_json(event))
        names = {"event": ["event"], "none": ["message"], "type": ["event", event.type]}
        assert message.event in names[naming]


@given(texts.filter(sayable).filter(bool), texts.filter(sayable))
def test_clients_that_split_lines_as_python_does_see_the_same(type_: str, text: str) -> None:
    """A client that takes U+2028 and the like for line breaks is not fooled either."""
    event = event_with(7, type_, json.dumps({"t": text}, ensure_ascii=False))
    stream = frames.join("type", [event], [frames.frame_of(event)]).decode()
    assert stream.splitlines() == stream.removesuffix("\n").split("\n")


@given(st.lists(texts.filter(sayable), min_size=1, max_size=4), st.data())
def test_httpx_sse_reads_the_same_however_it_is_cut(said: list[str], data: st.DataObject) -> None:
    """The decoder Python users have gives the same messages, wherever the network cuts them."""
    events = [event_with(n, "t", json.dumps({"t": text})) for n, text in enumerate(said, 1)]
    stream = frames.join("event", events, [frames.frame_of(event) for event in events])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)) | {0, len(stream)})

    reader, lines, decoder = Reader(), SSELineDecoder(), SSEDecoder()
    strict, theirs = [], []
    for start, end in pairwise(cuts):
        strict += reader.feed(stream[start:end])
        for line in lines.decode(stream[start:end].decode()):
            found = decoder.decode(line)
            if found is not None:
                theirs.append(Message(found.event, found.data, found.id))

    assert strict == theirs == messages_in(stream)


@pytest.mark.parametrize("type_", ["gap", "error", "open"])
def test_a_type_is_not_taken_for_a_sign(type_: str) -> None:
    """Types that mean something to a client by their name come as `event`."""
    event = event_with(1, type_, "{}")
    (message,) = messages_in(frames.join("type", [event], [frames.frame_of(event)]))
    assert (message.event, json.loads(message.data)["type"]) == ("event", type_)


def test_signs_of_life_dispatch_nothing() -> None:
    """A heartbeat, a position, a hint and a farewell are no messages, and the position counts."""
    reader = Reader()
    sent = frames.reconnect_after(2), frames.HEARTBEAT, frames.position_mark(41), frames.farewell(3)
    assert [message for part in sent for message in reader.feed(part)] == []
    assert (reader.last_id, reader.retry) == ("41", 3000)


def test_a_heartbeat_makes_no_empty_event_in_httpx_sse() -> None:
    """httpx-sse gives an event for each empty line once it knows an id; a heartbeat has none."""
    decoder = SSEDecoder()
    event = event_with(1, "t", "{}")
    stream = frames.join("event", [event], [frames.frame_of(event)]) + frames.HEARTBEAT
    found = [decoder.decode(line) for line in SSELineDecoder().decode(stream.decode())]
    assert len([message for message in found if message is not None]) == 1


def test_a_gap_moves_the_client_on() -> None:
    """A gap says what was asked for and what comes next, and its id is where to go on from."""
    (message,) = messages_in(frames.gap("pruned", 3, 9))
    assert (message.event, message.last_id) == ("gap", "8")
    assert json.loads(message.data) == {"reason": "pruned", "asked": 3, "first": 9}
