"""The contract suite itself: it finds broken stores and says what is wrong with them."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tidings import testing

_BROKEN = '''
from tidings.store.base import Reading
from tidings.store.memory import MemoryStore
from tidings.testing import StoreContract


class Gaps(MemoryStore):
    """Loses a position with each batch it refuses."""

    def append_all(self, batches):
        results = super().append_all(batches)
        self._log.head += sum(isinstance(result, Exception) for result in results)
        return results


class Repeats(MemoryStore):
    """Gives the last event again to a reader that goes on."""

    def read(self, query):
        return super().read(query.replace(after=max(query.after - 1, 0)))


class Careless(MemoryStore):
    """Writes records whatever revision is expected."""

    def put(self, key, value, expected=None):
        return super().put(key, value)


class Forgets(MemoryStore):
    """Takes over nothing of what was pruned elsewhere but that it was."""

    def adopt(self, pruned, summaries=()):
        super().adopt(pruned)


class Held(StoreContract):
    def open_store(self, directory):
        return self.kind()


class TestGaps(Held):
    kind = Gaps


class TestRepeats(Held):
    kind = Repeats


class TestCareless(Held):
    kind = Careless


class TestForgets(Held):
    kind = Forgets
'''

_CHOSEN = (
    "test_a_refused_batch_leaves_no_trace",
    "test_paging_forwards_by_cursor",
    "test_a_reader_beside_writers",
    "test_compare_and_set",
    "test_racing_increments",
    "test_versions_go_on_in_an_aggregate_without_events",
    "test_a_store_moves_with_what_remains",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says about four broken stores."""
    path = tmp_path_factory.mktemp("broken") / "test_broken.py"
    path.write_text(_BROKEN)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", " or ".join(_CHOSEN)]
    done = subprocess.run(
        [*command, str(path)], cwd=path.parent, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.parametrize(
    ("store", "test"),
    [
        ("TestGaps", "test_a_refused_batch_leaves_no_trace"),
        ("TestGaps", "test_a_reader_beside_writers"),
        ("TestRepeats", "test_paging_forwards_by_cursor"),
        ("TestRepeats", "test_a_reader_beside_writers"),
        ("TestCareless", "test_compare_and_set"),
        ("TestCareless", "test_racing_increments"),
        ("TestForgets", "test_versions_go_on_in_an_aggregate_without_events"),
        ("TestForgets", "test_a_store_moves_with_what_remains"),
    ],
)
def test_it_finds_what_is_broken(report: str, store: str, test: str) -> None:
    """A store that breaks a promise fails the tests of that promise."""
    assert re.search(rf"FAILED .*{store}::{test}", report)


def test_it_blames_nothing_else(report: str) -> None:
    """What a broken store does well passes."""
    assert not re.search(r"FAILED .*TestGaps::test_compare_and_set", report)
    assert not re.search(r"FAILED .*TestRepeats::test_racing_increments", report)
    assert not re.search(r"FAILED .*TestCareless::test_paging", report)


def test_it_says_what_was_compared(report: str) -> None:
    """A failing assertion of the suite shows the values, as in a test of one's own."""
    assert "assert 4 == 3" in report or "assert 3 == 2" in report


def test_its_names_come_when_asked_for() -> None:
    """The public names are there, others are not, and other processes need no pytest."""
    assert testing.StoreContract in testing.SharedStoreContract.__mro__
    with pytest.raises(AttributeError, match="Nothing"):
        testing.Nothing  # noqa: B018 - asking is the test
    code = "import sys, tidings.testing.elsewhere; print({'pytest', 'hypothesis'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
