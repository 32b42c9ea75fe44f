"""Joined writes: the same bytes in the same order, in fewer pieces."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidings.server.joined_writes import JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Recorder:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        """Take nothing more."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed


def written(*pieces: bytes | None) -> list[bytes]:
    """What arrives; None stands for a round of the event loop."""

    async def main() -> list[bytes]:
        recorder: Any = Recorder()
        joined = JoinedWrites(recorder, asyncio.get_running_loop())
        for piece in pieces:
            if piece is None:
                await asyncio.sleep(0)
            else:
                joined.write(piece)
        joined.close()
        assert joined.is_closing()
        await asyncio.sleep(0)
        return recorder.written  # type: ignore[no-any-return]  # as `Recorder` says

    return asyncio.run(main())


def test_the_end_of_our_side_comes_last() -> None:
    """A head that is held back leaves before the end."""

    class Ending(Recorder):
        def write_eof(self) -> None:
            self.written.append(b"eof")

    async def main() -> list[bytes]:
        recorder: Any = Ending()
        joined = JoinedWrites(recorder, asyncio.get_running_loop())
        joined.write(HEAD)
        joined.write_eof()
        return recorder.written  # type: ignore[no-any-return]  # as `Recorder` says

    assert asyncio.run(main()) == [HEAD, b"eof"]


def test_head_and_body_are_one_write() -> None:
    """What belongs together leaves together."""
    assert written(HEAD, b"{}", HEAD, b"[]") == [HEAD + b"{}", HEAD + b"[]"]


def test_a_head_alone_is_not_held_for_long() -> None:
    """A stream begins at once, also where its first event is far away."""
    assert written(HEAD, None, b"data") == [HEAD, b"data"]
    assert written(HEAD) == [HEAD]


@given(st.lists(st.none() | st.binary() | st.just(HEAD)))
def test_nothing_is_lost_or_moved(pieces: list[bytes | None]) -> None:
    """Whatever is written arrives, in order."""
    assert b"".join(written(*pieces)) == b"".join(piece for piece in pieces if piece)
