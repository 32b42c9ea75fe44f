"""`tidings collect`, `check` and `backup`: what keeps a store whole."""

from __future__ import annotations

import os

from tidings.cli.command import Command
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.opening import opened
from tidings.cli.show import Display, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given

__all__ = ["COMMANDS"]


def _collect(given: Given) -> int:
    with opened(given) as bus:
        collected = bus.collect()
        Display(given).record(
            {
                "kept": collected.kept,
                "rejected": collected.rejected,
                "waiting": collected.waiting,
                "spool": bus.spool.directory,
            },
            f"{collected.kept:,} events moved from {printable(bus.spool.directory)} into "
            f"{printable(bus.url)}; {collected.rejected:,} files set aside as no events, "
            f"{collected.waiting:,} still waiting",
        )
    return NO if collected.rejected else DONE


def _check(given: Given) -> int:
    display = Display(given)
    with opened(given) as bus:
        problems = bus.store.check()
        for problem in problems:
            display.record({"problem": problem}, printable(problem))
        if not problems and display.words:
            display.line(f"{printable(bus.url)} is whole")
    return NO if problems else DONE


def _backup(given: Given) -> int:
    path = os.path.abspath(given.words[0])
    with opened(given) as bus:
        bus.store.backup(path)
    size = os.path.getsize(path)
    Display(given).record(
        {"backup": path, "bytes": size}, f"{printable(path)} holds a whole copy ({size:,} bytes)"
    )
    return DONE


COMMANDS = (
    Command(
        "collect",
        "move what waits in the spool into the store",
        (),
        (),
        _collect,
        details="""\
Every command that reads does so first. Exits with 1 where a file was set aside because it is no
event; the reason lies beside it.""",
    ),
    Command(
        "check",
        "say what is wrong with the store, if anything",
        (),
        (),
        _check,
        details="Prints one problem a line and exits with 1, or with 0 where there is none.",
    ),
    Command(
        "backup", "write a whole copy of the store, while it is in use", ("PATH",), (), _backup
    ),
)
