"""The file that a backup of a memory store is: lines of JSON, one for each thing the store holds.

The first line says what the file is and where the store stood; then come summaries, ledger records
and events, each as an object of one key (`summary`, `record`, `event`). It holds the file's form;
what is written and what becomes of it is the memory store's matter.
"""

from __future__ import annotations

import os
from contextlib import suppress
from json import dumps, loads

from tidings.errors import NotAStore, StoreUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["read_backup", "write_backup"]

_FORMAT = "tidings memory backup 1"


def write_backup(path: str, state: dict[str, int], lines: Iterable[dict[str, Any]]) -> None:
    """Write a backup; a file that is there is replaced when the new one is whole.

    Args:
        path: the file.
        state: numbers that say where the store stood.
        lines: objects of one key.

    Raises:
        StoreUnavailable: the file cannot be written.
    """
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            file.writelines(
                dumps(line, ensure_ascii=False) + "\n"
                for line in ({"format": _FORMAT, **state}, *lines)
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(unfinished)
        raise StoreUnavailable(f"backup {path} cannot be written: {error.strerror}") from error


def read_backup(path: str) -> tuple[dict[str, int], Iterator[dict[str, Any]]]:
    """The numbers and the lines of a backup, in the order they were written.

    Raises:
        NotAStore: the file is something else.
        StoreUnavailable: the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            state, *lines = [loads(line) for line in file]
        if state.pop("format") != _FORMAT:
            raise NotAStore(f"{path} was written in another form; expected {_FORMAT!r}")
    except OSError as error:
        raise StoreUnavailable(f"backup {path} cannot be read: {error.strerror}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotAStore(f"{path} is no backup of a memory store") from error
    return state, iter(lines)
