"""`tidings collect`, `check` and `backup`: what keeps a store whole."""

from __future__ import annotations

import os

from tidings import settings
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.opening import opened, opened_if_there
from tidings.cli.show import Display, printable, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.bus import Bus
    from tidings.cli.command import Given
    from tidings.forward import Forwarded

__all__ = ["COMMANDS"]


_FORWARD_SECONDS = 600.0


def _collect(given: Given) -> int:
    _append_waiting_lines()
    with opened(given) as bus:
        collected = bus.collect()
        facts = {
            "kept": collected.kept,
            "rejected": collected.rejected,
            "waiting": collected.waiting,
            "spool": bus.spool.directory,
        }
        told = (
            f"{collected.kept:,} events moved from {printable(bus.spool.directory)} into "
            f"{printable(bus.url)}; {collected.rejected:,} files set aside as no events, "
            f"{collected.waiting:,} still waiting"
        )
        forwarded = _forward(bus, resend=given["resend"])
        if forwarded is not None:
            facts["forwarded"] = forwarded._asdict()
            told += (
                f"\n{forwarded.sent:,} events forwarded; {forwarded.waiting:,} wait for that, "
                f"{forwarded.refused:,} were refused"
            )
        Display(given).record(facts, told)
        if forwarded is not None and forwarded.error:
            say(f"collect: not all was forwarded: {forwarded.error}")
        elif forwarded is not None:
            _say_what_waits(forwarded)
    return NO if collected.rejected else DONE


def _append_waiting_lines() -> None:
    """Append the lines that wait beside a history of state files."""
    from tidings.state_files import StateFiles

    for directory in (settings.state_directory(), settings.scitex_directory()):
        if directory is None:
            continue
        try:
            left = StateFiles(directory).collect()
        except OSError as error:
            say(f"collect: lines that wait in {printable(directory)} stay there: {error}")
        else:
            if left:
                say(f"collect: {left:,} lines wait in {printable(directory)}: another appends")


def _forward(bus: Bus, *, resend: bool) -> Forwarded | None:
    """Send what waits to be forwarded, where an address is set; what came of all addresses."""
    targets = settings.api_targets()
    if not targets:
        if resend:
            raise WrongUsage("--resend needs TIDINGS_API_URL and TIDINGS_API_KEY")
        return None
    from tidings.forward import resend_refused, send_waiting

    told: Forwarded | None = None
    for target in targets:
        if resend:
            resend_refused(bus.store, target)
        done = send_waiting(bus.store, seconds=_FORWARD_SECONDS, hurry=True, target=target)
        told = done if told is None else done.after(told)
    return told


def _say_what_waits(forwarded: Forwarded) -> None:
    """Why some events wait although the address took all it was sent, or refused some."""
    if forwarded.refusal:
        say(f"collect: the address refuses events for what they are: {forwarded.refusal}")
    if forwarded.elsewhere:
        say(f"collect: events wait for other addresses, such as {forwarded.elsewhere}")
    if forwarded.refused:
        say("collect: what was refused is put aside; --resend tries it once more")


def _check(given: Given) -> int:
    display = Display(given)
    with opened_if_there(given) as bus:
        problems = bus.store.check()
        for problem in problems:
            display.record({"problem": problem}, printable(problem))
        if not problems and display.words:
            display.line(f"{printable(bus.url)} is whole")
    return NO if problems else DONE


def _backup(given: Given) -> int:
    path = os.path.abspath(given.words[0])
    with opened_if_there(given) as bus:
        bus.store.backup(path)
    size = os.path.getsize(path)
    Display(given).record(
        {"backup": path, "bytes": size}, f"{printable(path)} holds a whole copy ({size:,} bytes)"
    )
    return DONE


COMMANDS = (
    Command(
        "collect",
        "move what waits in the spool into the store, and forward what waits for that",
        (),
        (Option(("--resend",), "", "forward once more what the address refused ten times"),),
        _collect,
        details="""\
Every command that reads moves what waits in the spool first. Exits with 1 where a file was set
aside because it is no event; the reason lies beside it. Where TIDINGS_API_URL and TIDINGS_API_KEY
are set, what was not forwarded yet is sent there.""",
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
