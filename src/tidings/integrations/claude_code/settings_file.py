"""Changes of a `settings.json` that leave every other character of it as it is.

The text is not written anew from its values: members and elements are put into it, or cut out of
it, where they stand. Keeps: *what was put in and is taken out again leaves the file as it was*; and
promise 5: a file that is no JSON is refused, and nothing is changed. A change is written beside the
file and then takes its place, through a symbolic link and with the rights the file had.
"""

from __future__ import annotations

import json
import os

from tidings.durable_files import forget, make_directory, sync_directory, write_durably
from tidings.errors import InvalidSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Text", "changed", "read_text"]

_NEW = "{}\n"
_ATTEMPTS = 5


class Text:
    r"""The text of a JSON object, into which is put and out of which is cut.

    Args:
        text: as it stands in the file.
        path: of the file, for messages.

    Raises:
        InvalidSetting: it is no JSON object.

    >>> settings = Text('{\n  "model": "opus"\n}\n', "settings.json")
    >>> settings.put(("hooks", "Stop"), {"hooks": []})
    >>> print(settings.text, end="")
    {
      "model": "opus",
      "hooks": {
        "Stop": [
          {
            "hooks": []
          }
        ]
      }
    }
    >>> settings.cut(("hooks", "Stop"), lambda element: True)
    >>> print(settings.text, end="")
    {
      "model": "opus"
    }
    """

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self._path = path
        self.value()
        lines = text.splitlines(keepends=True)
        self._newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        self._indent = next(filter(None, map(_indent_of, lines[1:])), "  ")

    def value(self) -> dict[str, Any]:
        """What the text says.

        Raises:
            InvalidSetting: it is no JSON object.
        """
        try:
            value = json.loads(self.text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise InvalidSetting(
                f"{self._path} is no JSON ({error}), so nothing was changed; mend it first"
            ) from None
        if not isinstance(value, dict):
            raise InvalidSetting(
                f"{self._path} holds no JSON object, so nothing was changed; mend it first"
            )
        return value

    def put(self, place: tuple[str, str], element: Any) -> None:
        """Put an element at the end of the array at a place; what is missing there is made.

        Raises:
            InvalidSetting: something else stands there.
        """
        name, inner = place
        top = self._span_of_top()
        outer = self._find(top, name)
        if outer is None:
            self._add(top, 1, f"{_quoted(name)}: ", {inner: [element]})
            return
        self._ensure(outer, "{", name)
        found = self._find(outer, inner)
        if found is None:
            self._add(outer, 2, f"{_quoted(inner)}: ", [element])
            return
        self._ensure(found, "[", f"{name}.{inner}")
        self._add(found, 3, "", element)

    def cut(self, place: tuple[str, str], wanted: Callable[[Any], bool]) -> None:
        """Cut the elements out of the array at a place that are wanted, and what is empty then."""
        name, inner = place
        top = self._span_of_top()
        outer = self._find(top, name)
        found = None if outer is None else self._find(outer, inner)
        if outer is None or found is None or self.text[found[0]] != "[":
            return
        spans = list(self._parts(found))
        unwanted = [i for i, part in enumerate(spans) if wanted(self._value(part[1]))]
        if not unwanted:
            return
        if len(unwanted) < len(spans):
            for index in reversed(unwanted):
                self._cut_part(found, index)
            return
        if len(list(self._parts(outer))) == 1:
            self._cut_member(top, name)
        else:
            self._cut_member(outer, inner)

    def replace(self, place: tuple[str, str], index: int, element: Any) -> None:
        """Put another element in the place of one of an array."""
        outer = self._find(self._span_of_top(), place[0])
        found = None if outer is None else self._find(outer, place[1])
        if found is not None:
            start, end = list(self._parts(found))[index][1]
            self._splice(start, end, self._written(element, self._indent_at(start)))

    # Where things stand ---------------------------------------------------------------------------

    def _span_of_top(self) -> tuple[int, int]:
        start = self.text.index("{")
        return start, self._end(start)

    def _end(self, start: int) -> int:
        _, end = _decoder.raw_decode(self.text, start)
        return end

    def _value(self, span: tuple[int, int]) -> Any:
        return _decoder.raw_decode(self.text, span[0])[0]

    def _parts(self, span: tuple[int, int]) -> Iterator[tuple[int, tuple[int, int]]]:
        """The members of an object, or the elements of an array: where each begins, and its value.

        The value of a member ends where the member does.
        """
        is_object = self.text[span[0]] == "{"
        at = self._skip(span[0] + 1)
        while self.text[at] not in "]}":
            start = at
            if is_object:
                at = self._skip(self._skip(self._end(at)) + 1)  # past the name and its colon
            end = self._end(at)
            yield start, (at, end)
            at = self._skip(end)
            if self.text[at] == ",":
                at = self._skip(at + 1)

    def _find(self, span: tuple[int, int], name: str) -> tuple[int, int] | None:
        found = [value for start, value in self._parts(span) if self._value((start, 0)) == name]
        if len(found) > 1:
            raise InvalidSetting(
                f"{self._path} has {name} twice in one object, so nothing was changed; mend it "
                f"first"
            )
        return found[0] if found else None

    def _skip(self, at: int) -> int:
        while self.text[at] in " \t\r\n":
            at += 1
        return at

    def _ensure(self, span: tuple[int, int], opening: str, name: str) -> None:
        if self.text[span[0]] != opening:
            kind = "an object" if opening == "{" else "an array"
            raise InvalidSetting(
                f"{name} in {self._path} must be {kind}, so nothing was changed; mend it first"
            )

    # Changes --------------------------------------------------------------------------------------

    def _splice(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]

    def _add(self, span: tuple[int, int], depth: int, before: str, value: Any) -> None:
        """Put a member or an element at the end of what stands at a span."""
        parts = list(self._parts(span))
        if not parts:
            inner = self._newline + self._indent * depth
            text = inner + before + self._written(value, self._indent * depth)
            self._splice(
                span[0] + 1, span[1] - 1, text + self._newline + self._indent * (depth - 1)
            )
            return
        start, (_, end) = parts[-1]
        # As the one before it stands: on a line of its own, or on the same line.
        space = self._space_before(start)
        own_line = "\n" in space
        text = self._written(value, self._indent_at(start) if own_line else None)
        self._splice(end, end, f",{space if own_line else ' '}{before}{text}")

    def _space_before(self, end: int) -> str:
        start = end
        while self.text[start - 1] in " \t\r\n":
            start -= 1
        return self.text[start:end]

    def _cut_member(self, span: tuple[int, int], name: str) -> None:
        for index, (start, _) in enumerate(self._parts(span)):
            if self._value((start, 0)) == name:
                self._cut_part(span, index)
                return

    def _cut_part(self, span: tuple[int, int], index: int) -> None:
        parts = list(self._parts((span[0], self._end(span[0]))))
        start, (_, end) = parts[index]
        if index:
            self._splice(parts[index - 1][1][1], end, "")
        elif len(parts) > 1:
            self._splice(start, parts[1][0], "")
        else:
            self._splice(span[0] + 1, self._end(span[0]) - 1, "")

    def _indent_at(self, at: int) -> str:
        line = self.text[self.text.rfind("\n", 0, at) + 1 : at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _written(self, value: Any, indent: str | None) -> str:
        """The value as text; none for the indent keeps it on one line."""
        if indent is None:
            return json.dumps(value, ensure_ascii=False)
        text = json.dumps(value, ensure_ascii=False, indent=self._indent)
        return text.replace("\n", self._newline + indent)


def read_text(path: str) -> str | None:
    """What a settings file holds; none where there is none.

    Raises:
        InvalidSetting: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InvalidSetting(
            f"{path} is not UTF-8, so nothing was changed; mend it first"
        ) from None


def changed(path: str, change: Callable[[Text], None], mode: int) -> bool:
    """Change a settings file.

    Args:
        path: where it is; it and its directory are made where they are missing.
        change: changes the text.
        mode: who may read and write it where it is new.

    Returns:
        Whether anything was changed.

    Raises:
        InvalidSetting: the file cannot be changed; it is as it was.
    """
    for _ in range(_ATTEMPTS):
        before = read_text(path)
        settings = Text(_NEW if before is None else before, path)
        change(settings)
        if settings.text == (_NEW if before is None else before):
            return False
        settings.value()  # what is written must be JSON, whatever stood there
        if _replaced(path, before, settings.text, mode):
            return True
    raise InvalidSetting(f"{path} is being changed by somebody else; try again")


def _replaced(path: str, before: str | None, after: str, mode: int) -> bool:
    """Put a text in the place of another; false where somebody else did meanwhile."""
    real = os.path.realpath(path)
    directory = os.path.dirname(real)
    make_directory(directory)
    beside = f"{real}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    try:
        standing = None if before is None else os.stat(real)
        write_durably(
            beside, after.encode(), mode if standing is None else standing.st_mode & 0o7777
        )
        if standing is not None and standing.st_uid != os.geteuid():
            os.chown(beside, standing.st_uid, standing.st_gid)
        if read_text(path) != before:
            return False
        os.replace(beside, real)
    finally:
        forget(beside)
    sync_directory(directory)
    return True


def _indent_of(line: str) -> str:
    text = line.rstrip("\r\n")
    return text[: len(text) - len(text.lstrip(" \t"))] if text.strip() else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_decoder = json.JSONDecoder()
