"""A process that puts its entry in order, and is stopped in the middle until it is let go on.

    python -m tests.shared.stopped CALL ROOM DIRECTORY

It stops (SIGSTOP) just before its first CALL on something in ROOM of the log in DIRECTORY. At its
end it says what it has read.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.replicated.log_elsewhere import publish_all, read_until
from tidings.store.shared import SharedLog
from tidings.store.shared.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable


class Stopping(Files):
    """The file system, on which one stops once.

    Args:
        directory: the log's.
        call: the method before which to stop.
        room: the directory within it that it is to be called on.
    """

    def __init__(self, directory: str, call: str, room: str) -> None:
        super().__init__(directory)
        self.beginning = f"{directory}/{room}/"
        self.stopped = False
        setattr(self, call, partial(self._stopping, getattr(self, call)))

    def _stopping(self, call: Callable[..., Any], path: str, *arguments: Any) -> Any:
        if path.startswith(self.beginning) and not self.stopped:
            self.stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return call(path, *arguments)


def main(call: str, room: str, directory: str) -> None:
    """Emit, and follow until it is there."""
    log = SharedLog(directory, "", Stopping(directory, call, room))
    publish_all(log, b"late")
    print(*(entry.data.decode() for entry in read_until(log, b"late")))
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
