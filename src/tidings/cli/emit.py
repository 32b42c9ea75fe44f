"""`tidings emit`: one event from a shell line.

Keeps promise 4 for the shell: an event that could be kept nowhere is said on the standard error,
and the exit code is 0 unless `--strict` is given. Before that, what a store has not taken in time
is put into the spool from here. It is on the fast path: it imports little.
"""

from __future__ import annotations

import sys
from json import loads

from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, KEPT_NOWHERE
from tidings.cli.patience import SPARE, Unanswered, in_time, patience
from tidings.cli.show import Display, let_go_of_output, say
from tidings.cli.values import read_aggregate, read_pair, read_whole
from tidings.errors import NotKept, OutcomeUnknown, StoreUnavailable, TidingsError, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.cli.command import Given
    from tidings.event import Event

__all__ = ["COMMANDS"]


def _emit(given: Given) -> int:
    fields = _fields(given)
    made: list[Event] = []
    kept: list[Event] = []
    try:
        event = in_time(lambda: _kept(given, fields, made, kept), patience())
    except Unanswered as error:
        # What is kept may still be on its way to a cloud.
        if not kept and (not made or not _waits(made[0], str(error))):
            return _not_kept(given, str(error))
        event = (kept or made)[0]
    except (NotKept, StoreUnavailable, OutcomeUnknown) as error:
        return _not_kept(given, str(error))
    except TidingsError:
        raise
    except Exception as error:  # noqa: BLE001 - a job must not end because of an emit in it
        return _not_kept(given, f"{type(error).__name__}: {error}")
    if not given["quiet"]:
        _print(given, event)
    return DONE


def _kept(given: Given, fields: dict[str, Any], made: list[Event], kept: list[Event]) -> Event:
    from tidings.bus import Bus

    expected_version = fields.pop("expected_version")
    with Bus(given["url"]) as bus:
        event = bus.event(given.words[0], **fields)
        if expected_version is None:  # else its condition has to be decided now
            made.append(event)
        event = bus.publish(event, expected_version=expected_version)
        kept.append(event)
        if event.position is None:
            say(f"the event waits in {bus.spool.directory}, as {bus.last_failure}")
    return event


def _waits(event: Event, why: str) -> bool:
    """Put an event into the spool that a store may yet keep: under its id it is kept once."""
    from tidings import settings
    from tidings.spool import Spool

    spool = Spool(settings.spool_directory())
    url, _ = settings.api_target() or ("", "")
    try:
        in_time(lambda: spool.put(event, url), SPARE)
    except TidingsError:
        return False
    say(f"the event waits in {spool.directory}, as {why}")
    return True


def _not_kept(given: Given, why: str) -> int:
    say(f"the event was kept nowhere: {why}")
    return KEPT_NOWHERE if given["strict"] else DONE


def _print(given: Given, event: Event) -> None:
    try:
        Display(given, live=True).event(event)
    except OSError as error:
        # The event is kept; that its text reaches nobody is no reason to fail a job.
        let_go_of_output()
        if not isinstance(error, BrokenPipeError):
            say(f"the event is kept, but the output cannot be written: {error}")


def _fields(given: Given) -> dict[str, Any]:
    kind, name = given["aggregate"] or (None, None)
    return {
        "project": given["project"] or "",
        "status": "success" if given["status"] is None else given["status"],
        "payload": _payload(given),
        "source": given["source"],
        "id": given["id"],
        "timestamp": given["timestamp"] or "",
        "aggregate_type": kind,
        "aggregate_id": name,
        "correlation_id": given["correlation"],
        "causation_id": given["causation"],
        "user_id": given["user"],
        "expected_version": given["expected_version"],
    }


def _payload(given: Given) -> Any:
    payload = {} if given["payload"] is None else _read_payload(given["payload"])
    pairs = dict(map(_pair, given.words[1:]))
    if pairs and not isinstance(payload, dict):
        raise WrongUsage(f"--payload must be an object where {next(iter(pairs))}=… is given too")
    return {**payload, **pairs} if pairs else payload


def _pair(text: str) -> tuple[str, Any]:
    try:
        return read_pair(text)
    except ValueError as error:
        raise WrongUsage(f"{shorten(text)} {error}") from None


def _read_payload(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.buffer.read().decode() if sys.stdin else ""
        elif text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:
                text = file.read()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"--payload {shorten(text)} cannot be read: {error}") from None
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"--payload {shorten(text)} is not JSON: {error}") from None


COMMANDS = (
    Command(
        "emit",
        "keep one event",
        ("TYPE", "[KEY=VALUE | KEY:=JSON]..."),
        (
            Option(("--project",), "NAME", "what it belongs to"),
            Option(("--status",), "WORD", "its outcome: success (where left out), failure, ''"),
            Option(("--source",), "WORD", "where it comes from; else local, hpc or ci, as found"),
            Option(("--payload",), "JSON", "its payload: JSON, @FILE, or - for the standard input"),
            Option(("--id",), "ID", "its id; the same event under the same id is kept once"),
            Option(("--timestamp",), "TIME", "when it happened, ISO 8601; now where left out"),
            Option(("--aggregate",), "TYPE/ID", "what it is about", read=read_aggregate),
            Option(("--correlation",), "ID", "the larger undertaking it belongs to"),
            Option(("--causation",), "ID", "what caused it: an event or an aggregate"),
            Option(("--user",), "ID", "on whose behalf it happened"),
            Option(
                ("--expected-version",),
                "N",
                "refuse unless its aggregate stands at this version; 0: is new",
                read=read_whole,
            ),
            Option(("--strict",), "", "exit 75 where the event could be kept nowhere, not 0"),
            Option(("-q", "--quiet"), "", "do not print the event"),
        ),
        _emit,
        details="""\
KEY=VALUE adds a string to the payload, KEY:=JSON any JSON value.

  tidings emit job_done --project figrecipe host=n12 job_id:=4711

Where the store cannot take the event within TIDINGS_DEADLINE (1 s) it waits in the spool, and the
next command that reads moves it into the store.""",
    ),
)
