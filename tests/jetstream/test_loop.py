"""The thread in which nats-py lives, where it does not go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event as Flag

import pytest

from tidings.errors import OutcomeUnknown, StoreUnavailable
from tidings.store.jetstream import loop as loops
from tidings.store.jetstream.loop import LoopThread
from tidings.testing.elsewhere import PATIENCE


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """A thread with a loop."""
    started = LoopThread("test-loop")
    yield started
    started.close(asyncio.sleep(0), PATIENCE)


@pytest.mark.parametrize("error", [StoreUnavailable, OutcomeUnknown])
def test_a_loop_that_stands_still_is_told_in_our_words(
    loop: LoopThread,
    error: type[StoreUnavailable | OutcomeUnknown],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks for something learns what that means for it, and never gets a bare timeout."""
    monkeypatch.setattr(loops, "_MARGIN", 0.01)
    may_go_on = Flag()
    loop.call(may_go_on.wait, PATIENCE)
    try:
        with pytest.raises(error, match="did not come to speak to NATS"):
            loop.run(asyncio.sleep(0), 0.01, error)
    finally:
        may_go_on.set()


def test_what_runs_too_long_by_itself_is_its_own_affair(loop: LoopThread) -> None:
    """An error of what was run comes through as it is."""

    async def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        loop.run(work(), PATIENCE)
