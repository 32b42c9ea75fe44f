"""How commands print: words and colour for a terminal, one JSON object a line for anything else.

Results go to the standard output; what is said *about* the work goes to the standard error, each
line with `tidings:` before it. Keeps promise 5's small print: what an event holds never reaches a
terminal as a control sequence, whoever made the event. It does not decide what is shown.
"""

from __future__ import annotations

import os
import sys

from tidings.cli.moments import ago, clock
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.cli.command import Given
    from tidings.event import Event

__all__ = ["Display", "is_terminal", "let_go_of_output", "printable", "say"]

_COLOURS = {"success": "32", "failure": "31", "dim": "2", "bold": "1"}
_LEAST_WIDTH = 40
_USUAL_WIDTH = 100


def say(text: str) -> None:
    """Tell the user something beside the result, if the standard error takes it."""
    if sys.stderr is None:
        return
    try:
        lines = text.split("\n")
        sys.stderr.write("".join(f"tidings: {printable(line)}\n" for line in lines))
        sys.stderr.flush()
    except (OSError, ValueError):
        # There is no better place left to say it, and a job must not fail for that.
        return


def let_go_of_output() -> None:
    """Send what is still to be printed nowhere, as the standard output cannot take it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def is_terminal(descriptor: int) -> bool:
    """Whether a file descriptor is a terminal; one that is closed is none."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def printable(text: str) -> str:
    r"""The text with everything a terminal might obey spelled out, as Python escapes it.

    Beside control characters that are format characters (such as those that turn the direction of
    writing) and what Unicode has not assigned.

    >>> printable("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


class Display:
    """Prints results, in the form that suits the standard output.

    Args:
        given: the command's arguments; `--json` and `--no-color` count.
        live: each line is shown as soon as it is printed, as a follower needs it.
    """

    def __init__(self, given: Given, *, live: bool = False) -> None:
        terminal = is_terminal(1)
        self.words = terminal and not given["json"]
        """Whether words are printed, and not JSON."""
        self._colour = (
            self.words
            and not given["no_color"]
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
        )
        self._live = live or terminal
        self._width = _width() if self.words else 0

    def event(self, event: Event) -> None:
        """Print an event: its JSON, or one line of words."""
        if not self.words:
            self.json(event.to_dict())
            return
        self.line(self._event_line(event))

    def event_in_full(self, event: Event) -> None:
        """Print an event: its JSON, or all it says, a line for each field."""
        if not self.words:
            self.json(event.to_dict())
            return
        self.line(self._event_line(event, with_payload=False))
        fields = event.to_dict()
        for name in ("type", "project", "status", "position"):
            fields.pop(name, None)
        if event.redacted:
            fields["payload"] = "(redacted)"
        for name, value in fields.items():
            self._field(name, value, "  ")

    def record(self, data: dict[str, Any], words: str) -> None:
        """Print any other result: as JSON, or in these words."""
        if self.words:
            self.line(words)
        else:
            self.json(data)

    def json(self, data: Any) -> None:
        """Print a JSON value on a line of its own."""
        text = encode_json(data)
        self.line(text if text.isprintable() else _escaped_json(text))

    def line(self, text: str) -> None:
        """Print one line as it is."""
        if sys.stdout is None:
            return
        sys.stdout.write(f"{text}\n")
        if self._live:
            sys.stdout.flush()

    def painted(self, text: str, colour: str) -> str:
        """The text in a colour (`success`, `failure`, `dim`, `bold`), where colours are shown."""
        code = _COLOURS.get(colour)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text

    def _event_line(self, event: Event, *, with_payload: bool = True) -> str:
        place = "" if event.position is None else f"#{event.position}"
        time = f"{clock(event.instant)} {ago(event.instant):>8}"
        what = [printable(event.type), printable(event.project), printable(event.status)]
        left = f"{place:>7} {time} {' '.join(filter(None, what))}"
        painted = " ".join(
            part
            for part in (
                self.painted(f"{place:>7} {time}", "dim"),
                self.painted(what[0], "bold"),
                what[1],
                self.painted(what[2], event.status),
            )
            if part
        )
        room = self._width - len(left) - 2
        if not with_payload or room < 1:
            return painted
        said = "(redacted)" if event.redacted else _summary(event.payload)
        return f"{painted}  {_cut(said, room)}" if said else painted

    def _field(self, name: str, value: Any, indent: str) -> None:
        label = f"{indent}{self.painted(printable(name), 'dim')}"
        if isinstance(value, dict) and value:
            self.line(f"{label}:")
            for key, inner in value.items():
                self._field(key, inner, f"{indent}  ")
        elif isinstance(value, str) and "\n" in value:
            self.line(f"{label}:")
            for line in value.split("\n"):
                self.line(f"{indent}  {printable(line)}")
        else:
            self.line(f"{label}: {_word(value)}")


def _summary(payload: Any) -> str:
    if not isinstance(payload, dict):
        return _word(payload)
    return " ".join(f"{printable(key)}={_word(value)}" for key, value in payload.items())


def _word(value: Any) -> str:
    return printable(value if isinstance(value, str) else encode_json(value))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _width() -> int:
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        columns = 0
    return max(columns or _USUAL_WIDTH, _LEAST_WIDTH)


def _escaped_json(text: str) -> str:
    # JSON leaves DEL, C1 controls and direction marks as they are; all stand within strings.
    return "".join(
        character
        if character.isprintable()
        else "".join(f"\\u{unit:04x}" for unit in _utf16(character))
        for character in text
    )


def _utf16(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2)]
