"""Connections to receivers: used again, bounded, and left to nobody when an attempt is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.bus.loops import run
from tests.delivery.webhooks import receivers
from tests.delivery.webhooks.receivers import HANG, OK, Receiver, endpoint_at
from tidings.delivery.webhooks.sending import OK as DELIVERED
from tidings.delivery.webhooks.sending import Sender
from tidings.event import Event

pytestmark = pytest.mark.usefixtures("patient_connections")

EVENT = Event("job_done")


def with_sender(doing: Callable[[Sender], Awaitable[None]], sender: Sender | None = None) -> None:
    """Let a test use a sender in a loop."""

    async def main() -> None:
        async with sender or Sender() as opened:
            await doing(opened)

    run(main())


def test_a_connection_is_used_again() -> None:
    """Messages that follow each other take one connection."""

    async def doing(sender: Sender) -> None:
        for _ in range(5):
            assert (await sender.send(endpoint_at(receiver.url), EVENT)).verdict == DELIVERED

    with Receiver() as receiver:
        with_sender(doing)
        assert (len(receiver.got), receiver.connections) == (5, 1)


def test_a_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    """Who closes an idle connection just when it is used again gets the message over a new one."""

    async def doing(sender: Sender) -> None:
        endpoint = endpoint_at(receiver.url)
        for script in ([OK], [receivers.CLOSE, OK], [receivers.RESET, OK]):
            receiver.script = list(script)
            assert (await sender.send(endpoint, EVENT)).verdict == DELIVERED
        await asyncio.to_thread(receiver.hang_up)
        assert (await sender.send(endpoint, EVENT)).verdict == DELIVERED

    with Receiver() as receiver:
        with_sender(doing)
        assert (len(receiver.got), receiver.connections) == (6, 4)
        assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_no_more_attempts_are_under_way_than_allowed() -> None:
    """What is beyond the limit waits, and begins when another has ended."""

    async def doing(sender: Sender) -> None:
        endpoint = endpoint_at(receiver.url)
        sending = [asyncio.create_task(sender.send(endpoint, EVENT)) for _ in range(5)]
        for wave in (2, 4, 5):
            await asyncio.to_thread(receiver.wait, wave)
            assert len(receiver.got) == wave
            await asyncio.to_thread(receiver.release)
        assert {(await task).verdict for task in sending} == {DELIVERED}

    with Receiver(HANG) as receiver:
        with_sender(doing, Sender(limit=2))
        assert receiver.connections == 2


def test_idle_connections_are_bounded() -> None:
    """However many endpoints there are, few connections stay open when nothing is sent."""

    async def nearby(_: str) -> list[str]:
        return ["127.0.0.1"]

    async def doing(sender: Sender) -> None:
        for number in range(12):
            url = receiver.url.replace("127.0.0.1", f"host{number}.example.org")
            assert (await sender.send(endpoint_at(url), EVENT)).verdict == DELIVERED
        assert len(sender._connections) <= 6

    with Receiver() as receiver:
        with_sender(doing, Sender(limit=3, lookup=nearby))
        assert receiver.connections == 12


def test_a_cancelled_attempt_leaves_nothing_behind() -> None:
    """Who stops waiting for an attempt gets its room and its connection back."""

    async def doing(sender: Sender) -> None:
        endpoint = endpoint_at(receiver.url)
        task = asyncio.create_task(sender.send(endpoint, EVENT))
        await asyncio.to_thread(receiver.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        receiver.answer = OK
        assert (await sender.send(endpoint, EVENT)).verdict == DELIVERED
        assert len(sender._connections) == 1

    with Receiver(HANG) as receiver:
        with_sender(doing, Sender(limit=1))
