"""`tidings migrate`: a whole store into another one, as `tidings.transfer` does it."""

from __future__ import annotations

import os
from contextlib import ExitStack

from tidings import settings
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.existing import ensure_exists
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.progress import Progress
from tidings.cli.show import Display, printable, say
from tidings.masking import masked
from tidings.store import open_store
from tidings.transfer import migrate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.cli.command import Given
    from tidings.transfer import Migrated

__all__ = ["COMMANDS"]

_PATIENCE = 10.0
"""How long a copy waits for locks and connections, where no setting says it (seconds)."""


def _migrate(given: Given) -> int:
    if given["url"] is not None:
        raise WrongUsage("both stores are named by words, FROM and TO; --url says nothing here")
    ensure_exists(given.words[0])
    patience = settings.deadline() if os.environ.get("TIDINGS_DEADLINE") else _PATIENCE
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(open_store(url, deadline=patience)) for url in given.words
        )
        progress = stack.enter_context(Progress("events", given))

        def show(what: str, done: int, whole: int) -> None:
            progress.unit = f"events {what}"
            progress.show(done, done, whole)

        done = migrate(
            source, target, quick=given["quick"], dry_run=given["dry_run"], progress=show
        )
    _tell(given, done)
    return NO if done.differences else DONE


def _tell(given: Given, done: Migrated) -> None:
    for difference in done.differences:
        say(f"migrate: {difference}")
    if done.withheld:
        say(
            f"migrate: {done.withheld:,} records (keys, sessions, webhooks) were left out, as a "
            f"server takes none; make new ones on its machine"
        )
    where = {"from": masked(given.words[0]), "to": masked(given.words[1])}
    told = {**where, **done._asdict(), "complete": done.complete}
    display = Display(given)
    if given["dry_run"]:
        told = {**where, "position": done.position, "head": done.head}
        display.record(told, f"{_stands(done)}; nothing was copied")
        return
    display.record(
        told,
        f"{done.copied:,} events copied, {done.compared:,} compared, {done.records:,} records "
        f"alike; {_outcome(given, done)}",
    )


def _outcome(given: Given, done: Migrated) -> str:
    if done.differences:
        return "the copy differs, see above; migrate to a new store"
    if done.complete:
        return f"the copy is whole, up to position {done.position}"
    changing = f", {done.behind:,} records change" if done.behind else ""
    return (
        f"{_stands(done)}{changing}: {printable(masked(given.words[0]))} is in use; run this again "
        f"once its writers have stopped"
    )


def _stands(done: Migrated) -> str:
    return f"the copy stands at position {done.position}, the source at {done.head}"


COMMANDS = (
    Command(
        "migrate",
        "copy a whole store into another one, of any backend",
        ("FROM", "TO"),
        (
            Option(("--quick",), "", "compare only what no earlier run has compared"),
            Option(("--dry-run",), "", "only see whether it can be done"),
        ),
        _migrate,
        details="""\
FROM and TO are store URLs. TO must be empty, or what an earlier run left: a run that was killed is
simply started again. FROM may be in use: run it again for what came since, the last time once its
writers have stopped. Positions, versions and ids stay, so readers go on where they were.
It waits 10 s for a store where TIDINGS_DEADLINE does not say how long. Exits with 1 where the copy
differs.""",
    ),
)
