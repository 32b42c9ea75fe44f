"""`tidings dead-letters`: look at events that were given up; have them tried again, or let go.

Works on any store, also behind a server, and beside whatever runs: what is decided here is carried
out by the worker that has the subscription, or by the next one. Which letters a filter means, and
how they are decided page by page, is said in `tidings.subscriptions.choosing`.
"""

from __future__ import annotations

from itertools import islice

from tidings.cli.actions import action_of, ensure_options_fit
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, NO
from tidings.cli.moments import ago, clock, read_moment
from tidings.cli.opening import opened
from tidings.cli.progress import Progress
from tidings.cli.removing import confirmed
from tidings.cli.show import Display, printable, say
from tidings.cli.values import read_whole
from tidings.subscriptions.choosing import (
    Choice,
    counted,
    decide,
    decided,
    event_of,
    letter_called,
    pages,
    said,
)
from tidings.subscriptions.dead_letters import DISCARD, REPLAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.cli.command import Given
    from tidings.store.base import Store
    from tidings.subscriptions.dead_letters import DeadLetter
    from tidings.subscriptions.progress import Attempt

__all__ = ["COMMANDS"]


def _dead_letters(given: Given) -> int:
    action = action_of(given, _ACTIONS)
    does, takes = _ACTIONS[action]
    ensure_options_fit(given, action, _OPTIONS, takes)
    return does(given)


# What is there ------------------------------------------------------------------------------------


def _list(given: Given) -> int:
    if len(given.words) > 1:
        raise WrongUsage("list takes no ID; show does")
    display = Display(given)
    with opened(given) as bus:
        letters = (each.letter for page in pages(bus.store, _choice(given)) for each in page.kept)
        for letter in islice(letters, given["limit"]):
            display.record(said(letter), _line(display, letter))
    return DONE


def _show(given: Given) -> int:
    display = Display(given)
    with opened(given) as bus:
        letter = letter_called(bus.store, _id(given))
        event = event_of(bus.store, letter)
    if not display.words:
        display.json({**said(letter), "event": None if event is None else event.to_dict()})
        return DONE
    display.line(_line(display, letter))
    for number, attempt in enumerate(letter.attempts, start=1):
        display.line(f"  attempt {number}: {_attempt(attempt)}")
    if event is None:
        display.line("  the event is gone: it was pruned")
    else:
        display.event_in_full(event)
    return DONE


# What becomes of them -----------------------------------------------------------------------------


def _decide(given: Given, what: str) -> int:
    choice = _choice(given)
    filtered = choice != Choice()
    if (len(given.words) > 1) + filtered + given["all"] != 1:
        raise WrongUsage(f"say which ones to {what}: an ID, a filter, or --all")
    with opened(given) as bus:
        if len(given.words) > 1:
            return _decide_one(given, bus.store, what)
        return _decide_many(given, bus.store, choice, what)


def _decide_one(given: Given, store: Store, what: str) -> int:
    letter = letter_called(store, _id(given))
    if given["dry_run"]:
        return _would(given, 1, what)
    lost = f"the dead letter {printable(letter.id)} will be discarded for good"
    if what == DISCARD and not confirmed(given, lost):
        return NO
    decide(store, letter.id, what)
    return _told(given, 1, what)


def _decide_many(given: Given, store: Store, choice: Choice, what: str) -> int:
    count = 0
    with Progress("dead letters counted", given) as progress:
        for count, _ in counted(store, choice):
            progress.show(count, 0, None)
    if given["dry_run"]:
        return _would(given, count, what)
    if not count:
        return _told(given, 0, what)
    lasting = "discarded for good" if what == DISCARD else "replayed"
    if not confirmed(given, f"{_letters(count)} will be {lasting}"):
        return NO
    done = 0
    try:
        with Progress("dead letters", given) as progress:
            for done, _ in decided(store, choice, what):
                progress.show(done, done, count)
    except KeyboardInterrupt:
        say(f"{_letters(done)} of {count:,} were decided; ask again for the rest")
        raise
    return _told(given, done, what)


def _would(given: Given, count: int, what: str) -> int:
    data = {f"would_{what}": count}
    Display(given).record(data, f"{_letters(count)} would be {_DONE[what]}")
    return DONE


def _told(given: Given, count: int, what: str) -> int:
    words = f"{_letters(count)} {'will be replayed' if what == REPLAY else 'discarded'}"
    Display(given).record({_DONE[what]: count}, words)
    return DONE


# What was given -----------------------------------------------------------------------------------


def _choice(given: Given) -> Choice:
    return Choice(
        given["subscription"],
        tuple(given["type"]),
        tuple(given["project"]),
        given["since"],
        given["until"],
        given["contains"],
    )


def _id(given: Given) -> str:
    if len(given.words) < 2:
        raise WrongUsage("say which one: its ID, as `tidings dead-letters list` shows it")
    return given.words[1]


# What is shown ------------------------------------------------------------------------------------


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"


def _line(display: Display, letter: DeadLetter) -> str:
    """A letter in one line."""
    tries = f"{len(letter.attempts)} attempt{'' if len(letter.attempts) == 1 else 's'}"
    words = [
        display.painted(printable(letter.id), "bold"),
        display.painted(f"{clock(letter.at)} {ago(letter.at):>8}", "dim"),
        " ".join(filter(None, (printable(letter.type), printable(letter.project)))),
        tries,
        *_state(letter),
    ]
    if letter.attempts:
        words.append(display.painted(printable(letter.attempts[-1].error), "failure"))
    return "  ".join(words)


def _state(letter: DeadLetter) -> Iterator[str]:
    if letter.held:
        yield "holds up its aggregate"
    if letter.asked:
        yield f"to be {_DONE[letter.asked]}"


def _attempt(attempt: Attempt) -> str:
    words = [f"{clock(attempt.at)} {ago(attempt.at):>8}", f"{attempt.seconds * 1000:,.0f} ms"]
    if attempt.status is not None:
        words.append(str(attempt.status))
    words += [printable(text) for text in (attempt.error, attempt.answer) if text]
    return "  ".join(words)


_DONE = {REPLAY: "replayed", DISCARD: "discarded"}

_FILTERS = (
    Option(("--subscription",), "NAME", "of this subscription; webhook:ID of a webhook"),
    Option(("--type",), "TYPE", "of events of this type: job_done, 'job.*'", repeat=True),
    Option(("--project",), "NAME", "of events of this project", repeat=True),
    Option(("--since",), "WHEN", "given up at or after: 1h, 2026-01-01, …", read=read_moment),
    Option(("--until",), "WHEN", "given up before", read=read_moment),
    Option(("--contains",), "TEXT", "with this text in an error or an answer"),
)
_OPTIONS = (
    *_FILTERS,
    Option(("-n", "--limit"), "N", "list: at most so many", read=read_whole),
    Option(("--all",), "", "replay, discard: all there are"),
    Option(("--dry-run",), "", "replay, discard: only say how many are meant"),
    Option(("-y", "--yes"), "", "replay, discard: do not ask"),
)

_WHICH = {option.key for option in _FILTERS}
_ACTIONS = {
    "list": (_list, {*_WHICH, "limit"}),
    "show": (_show, set[str]()),
    "replay": (lambda given: _decide(given, REPLAY), {*_WHICH, "all", "dry_run", "yes"}),
    "discard": (lambda given: _decide(given, DISCARD), {*_WHICH, "all", "dry_run", "yes"}),
}

COMMANDS = (
    Command(
        "dead-letters",
        "look at events that were given up; replay or discard them",
        ("|".join(_ACTIONS), "[ID]"),
        _OPTIONS,
        _dead_letters,
        details="""\
  tidings dead-letters list --subscription notify
  tidings dead-letters show notify/4711
  tidings dead-letters replay notify/4711
  tidings dead-letters replay --contains ConnectionError --since 2h
  tidings dead-letters discard --all --dry-run

An ID is SUBSCRIPTION/POSITION. All filters that are given must hold, and of a repeated one any.
replay has the subscription handle the event again, with all its attempts; discard lets it go, and
where it held up its aggregate, what came after it goes on. The events stay in the store.""",
    ),
)
