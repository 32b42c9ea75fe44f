"""Carries what a command puts out to where it belongs, and shows it to the output's tail.

One thread for each stream, so that a reader who lets one of them wait does not hold up the other.
Nothing is buffered beyond the chunk in hand; what waits, waits in the pipe, as without us.
"""

from __future__ import annotations

import os
from select import POLLIN, POLLOUT, poll
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Relay"]

_CHUNK = 65536
_LAST = 1 << 20
"""How much is still carried once the command has ended (bytes): the largest a pipe holds on Linux
(pipe(7), /proc/sys/fs/pipe-max-size), so all the command itself wrote. What it left running in the
background may write for good, and is not waited for."""


class Relay:
    """Carries one stream.

    Args:
        source: the end of the pipe or terminal to read from; closed at the end.
        sink: the descriptor to write to.
        see: is shown each chunk before it is written.
    """

    def __init__(self, source: int, sink: int, see: Callable[[bytes], None]) -> None:
        self._source = source
        self._sink = sink
        self._ended, self._end = os.pipe()
        self._see = see
        self.failure: OSError | None = None
        """Why what the command put out could not be written; the command was not disturbed."""
        self._thread = Thread(target=self._carry, daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def command_ended(self) -> None:
        """Carry only what is there already: the command puts out nothing more."""
        os.close(self._end)

    def finished(self, timeout: float | None = None) -> bool:
        """Wait until all is carried, so long at most (seconds); returns whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _carry(self) -> None:
        waiting = poll()
        waiting.register(self._source, POLLIN)
        waiting.register(self._ended, POLLIN)
        left = _LAST
        while left > 0:
            ready = [descriptor for descriptor, _ in waiting.poll()]
            chunk = self._read() if self._source in ready else b""
            if not chunk:
                break
            self._see(chunk)
            if not self._write(chunk):
                break
            if self._ended in ready:
                left -= len(chunk)
        os.close(self._source)

    def _read(self) -> bytes:
        try:
            return os.read(self._source, _CHUNK)
        except OSError:
            # So a terminal says that nobody holds its other end any more.
            return b""

    def _write(self, chunk: bytes) -> bool:
        """Write all of it; returns whether anyone is there to read more.

        Where nobody is, the command shall learn it as it would without us: by a broken pipe. A full
        disk is no such news: the rest is read on and lost, and the command goes on.
        """
        rest = memoryview(chunk)
        while rest and self.failure is None:
            try:
                rest = rest[os.write(self._sink, rest) :]
            except BlockingIOError:
                _until_writable(self._sink)
            except BrokenPipeError:
                return False
            except OSError as error:
                self.failure = error
        return True


def _until_writable(descriptor: int) -> None:
    waiting = poll()
    waiting.register(descriptor, POLLOUT)
    waiting.poll()
