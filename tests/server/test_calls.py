"""Bodies: whole or in chunks, bounded in size and in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidings.server import calls
from tidings.server.access import ANYONE
from tidings.server.calls import Call, Disconnected
from tidings.server.problems import Problem


def call_of(*messages: dict[str, Any] | None, headers: tuple[Any, ...] = ()) -> Call:
    """A call whose body comes as these messages; None stands for a pause, the last one for good."""
    coming = list(messages)

    async def receive() -> dict[str, Any]:
        while coming and coming[0] is None and len(coming) > 1:
            coming.pop(0)
            await asyncio.sleep(0)
        if not coming or coming[0] is None:
            await asyncio.Event().wait()
        message = coming.pop(0)
        assert message is not None
        return message

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "query_string": b"a=1&a=%20&b", "headers": list(headers)}
    return Call(scope, receive, send, None, ANYONE, "r1")  # type: ignore[arg-type]  # no service is needed


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    """A message of ASGI."""
    return {"type": "http.request", "body": body, "more_body": more}


async def all_chunks(call: Call) -> list[bytes]:
    """The chunks of a body."""
    return [chunk async for chunk in call.chunks()]


@pytest.mark.parametrize("pauses", [(), (None, None)])
def test_a_body_comes_whole(pauses: tuple[None, ...]) -> None:
    """In one packet or in many, at once or after a while, it is the same."""
    assert asyncio.run(call_of(*pauses, part(b"ab", more=False)).body(2)) == b"ab"
    parts = (part(b"a", more=True), *pauses, part(b"", more=True), part(b"b", more=False))
    assert asyncio.run(call_of(*pauses, *parts).body(2)) == b"ab"
    assert asyncio.run(all_chunks(call_of(*pauses, *parts))) == [b"a", b"b"]


@pytest.mark.parametrize(
    "messages",
    [
        (part(b"abc", more=False),),
        (part(b"ab", more=True), part(b"c", more=False)),
        (part(b"abc", more=True), None),
    ],
)
def test_a_body_that_is_too_large_is_refused(messages: tuple[Any, ...]) -> None:
    """However it comes, no more than the bound is taken, and the answer says the bound."""
    with pytest.raises(Problem) as caught:
        asyncio.run(call_of(*messages).body(2))
    assert (caught.value.status, caught.value.members["limit"]) == (413, 2)


def test_a_declared_length_is_believed_at_once() -> None:
    """A body that says it is too large is not waited for."""
    call = call_of(None, headers=((b"content-length", b"3"),))
    with pytest.raises(Problem) as caught:
        asyncio.run(call.body(2))
    assert caught.value.status == 413


@pytest.mark.parametrize("messages", [(None,), (part(b"a", more=True), None)])
def test_a_body_that_does_not_come_is_not_waited_for(
    messages: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some time the client is told that it was too slow."""
    monkeypatch.setattr(calls, "BODY_SECONDS", 0.01)
    for reading in (lambda call: call.body(9), all_chunks):
        with pytest.raises(Problem) as caught:
            asyncio.run(reading(call_of(*messages)))
        assert caught.value.status == 408


def test_a_client_that_has_gone_is_noticed() -> None:
    """There is nobody to answer."""
    gone = {"type": "http.disconnect"}
    for messages in ((gone,), (None, gone), (part(b"a", more=True), gone)):
        with pytest.raises(Disconnected):
            asyncio.run(call_of(*messages).body(9))


def test_parameters_are_in_order_and_unquoted() -> None:
    """Blank values count."""
    assert call_of().params == [("a", "1"), ("a", " "), ("b", "")]
