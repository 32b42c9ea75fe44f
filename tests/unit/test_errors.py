"""Errors: one tree, and messages that say what to do next."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from tidings import errors
from tidings.errors import (
    HistoryPruned,
    IdConflict,
    InvalidEvent,
    InvalidQuery,
    InvalidSetting,
    MissingExtra,
    RevisionConflict,
    StoreDamaged,
    StoreUnavailable,
    TidingsError,
    VersionConflict,
    shorten,
)

ALL = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, BaseException)
]
MADE = [
    InvalidEvent("type", "", "must not be empty"),
    MissingExtra("zstd compression", "zstd"),
    VersionConflict("agent/a", 3, 5),
    IdConflict("build-42", 7, ("type", "payload")),
    RevisionConflict("cursor/x", 2, 0),
    HistoryPruned(4, 10),
    StoreDamaged("the file contradicts itself"),
    TidingsError("something", "else"),
]


def test_all_have_one_root() -> None:
    """Whoever catches `TidingsError` catches everything."""
    assert all(issubclass(kind, TidingsError) for kind in ALL)


def test_all_are_exported() -> None:
    """`__all__` names every error, and nothing else."""
    assert sorted(errors.__all__) == sorted(kind.__name__ for kind in ALL)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing names every error below the one it inherits from."""
    drawn: dict[str, str] = {}
    parents = {0: "TidingsError"}
    for line in (errors.__doc__ or "").splitlines():
        if row := re.match(r"(    [│ ]*)[├└]── (\w+)", line):
            depth = (len(row[1]) - 4) // 4
            drawn[row[2]] = parents[depth]
            parents[depth + 1] = row[2]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in ALL[1:]}


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (InvalidEvent, ValueError),
        (InvalidQuery, ValueError),
        (InvalidSetting, ValueError),
        (MissingExtra, ImportError),
        (HistoryPruned, LookupError),
    ],
)
def test_builtin_errors_catch_them(kind: type[Exception], builtin: type[Exception]) -> None:
    """Who knows nothing of Tidings can catch what Python has for it."""
    assert issubclass(kind, builtin)


def test_the_bus_spools_on_store_unavailable_only() -> None:
    """Every way in which a store can fail is one of its kinds; an unknown outcome is none."""
    kinds = {kind.__name__ for kind in ALL if issubclass(kind, StoreUnavailable)}
    assert kinds == {
        "StoreUnavailable",
        "StoreLocked",
        "StoreFull",
        "StoreReadOnly",
        "StoreDamaged",
        "NotAStore",
        "StoreTooNew",
        "NetworkFileSystem",
        "NotAllowed",
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MADE[0], "type '' must not be empty"),
        (MADE[1], "zstd compression needs an optional dependency: pip install 'tidings[zstd]'"),
        (
            MADE[2],
            (
                "agent/a stands at version 5, not at the expected 3; read it again from there "
                "and decide anew"
            ),
        ),
        (
            MADE[3],
            (
                "id 'build-42' belongs to the event at position 7, which differs in type, payload; "
                "give a new event a new id"
            ),
        ),
        (
            MADE[4],
            (
                "ledger record 'cursor/x' is at revision 0, not at the expected 2; read it again "
                "and decide anew"
            ),
        ),
        (
            MADE[5],
            "events up to position 9 were pruned, and 4 lies before; go on with after=9",
        ),
    ],
)
def test_messages(error: TidingsError, message: str) -> None:
    """A message says what was wrong, where, and what to do next."""
    assert str(error) == message


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_reach_other_processes(error: TidingsError, protocol: int) -> None:
    """An error comes out of a pickle whole, as it has to from a process pool."""
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert vars(copy.copy(error)) == vars(error)


def test_values_are_shortened() -> None:
    """A value is shown as its repr, on one line and of bounded length."""
    assert shorten("a\nb") == r"'a\nb'"
    assert shorten("x" * 58) == f"'{'x' * 58}'"
    assert shorten("x" * 59) == f"'{'x' * 58}…"
    assert len(shorten(list(range(1000)))) == 60


def test_a_value_that_cannot_be_shown() -> None:
    """Where a repr fails, the type is shown: a message always comes."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shorten(deep) == "<list>"
    assert shorten(10**5000) == "<int>"
