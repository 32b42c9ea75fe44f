"""`tidings demo`: a story that looks like the real thing, and stays apart from it."""

from __future__ import annotations

import json
import signal
from itertools import islice

import pytest

from tests.cli.conftest import PATIENCE, Shell
from tidings import Bus
from tidings.demo import ARRAY, TASKS, day, live, told
from tidings.event import Event
from tidings.workflows import workflow_tree

_BEGIN = 1_767_225_600_000_000
_SLURM = {
    "SLURM_JOB_ID": "4712",
    "SLURM_ARRAY_JOB_ID": "4711",
    "SLURM_ARRAY_TASK_ID": "0",
    "SLURM_ARRAY_TASK_COUNT": "500",
    "SLURM_CLUSTER_NAME": "alps",
    "SLURM_JOB_PARTITION": "normal",
    "SLURM_JOB_NAME": "fit",
}


@pytest.fixture(scope="module")
def story() -> list[Event]:
    """The past of the story."""
    return [Event.from_dict(told(scene, _BEGIN)) for scene in day()]


def test_a_run_of_the_story_is_one_of_tidings_run(shell: Shell, story: list[Event]) -> None:
    """A task of the array says just what a real one says under Slurm, field by field."""
    command = ("run", "--project", "figrecipe", "--", "true")
    assert shell(*command, stdin=b"", **_SLURM).returncode == 0
    for real in shell.events():
        made = next(e for e in story if e.type == real.type and e.correlation_id == ARRAY)
        assert made.correlation_id == real.correlation_id
        assert made.context["slurm"].keys() == real.context["slurm"].keys()
        assert made.context.keys() | {"git"} == real.context.keys() | {"git"}
        assert made.payload.keys() == real.payload.keys()
        said = {"source", "status", "aggregate_type", "project"}
        assert {n: getattr(made, n) for n in said} == {n: getattr(real, n) for n in said}


def test_the_story_holds_what_there_is_to_find(story: list[Event]) -> None:
    """One task of 500 fails; each cause is in it; workflows end as they should."""
    tasks = [e for e in story if e.type == "run.completed" and e.correlation_id == ARRAY]
    assert len(tasks) == TASKS
    (failed,) = (task for task in tasks if task.status == "failure")
    assert failed.payload["tail"].endswith("(4000, 1068000)")
    known = {e.id for e in story} | {e.aggregate_id for e in story}
    assert {e.causation_id for e in story} - {None} <= known
    with Bus("memory:", context=False) as bus:
        bus.emit_many(story)
        trees = {
            name: workflow_tree(bus.store, f"workflow-{name}", lambda query: query)
            for name in ("figures", "review", "translate")
        }
    states = {name: tree.nodes[0].state for name, tree in trees.items() if tree is not None}
    assert states == {"figures": "done", "review": "failed", "translate": "running"}


def test_it_is_the_same_for_the_same_number() -> None:
    """Two times the same seed is the same story but for ids; another is another."""

    def gist(seed: int) -> list[tuple[int, str, str]]:
        scenes = [*day(seed), *islice(live(seed), 50)]
        return [(scene.at, scene.fields["type"], scene.fields["status"]) for scene in scenes]

    assert gist(7) == gist(7) != gist(8)


def test_the_past_is_kept_once_and_apart(shell: Shell) -> None:
    """It goes into a store of its own, a second time adds nothing, and what is left is said."""
    (first,) = shell.json("demo", "--once")
    (second,) = shell.json("demo", "--once")
    assert (first["kept"] > 1000, second["kept"]) == (True, 0)
    assert not (shell.home / "events.db").exists()
    with Bus(first["store"]) as bus:
        assert bus.store.head() == first["kept"]
    done = shell("demo", "--once").stderr.decode()
    assert f"tidings serve --port 8766 --url {first['store']}" in done
    assert f"rm -r {shell.home}/demo" in done


def test_others_events_are_left_alone(shell: Shell) -> None:
    """A store that holds anything else is not touched, unless that is wanted."""
    shell("emit", "job_done")
    done = shell("demo", "--once", "--url", shell.url)
    assert done.returncode == 2
    assert b"holds other events" in done.stderr
    assert len(shell.events()) == 1
    (said,) = shell.json("demo", "--once", "--force", "--url", shell.url)
    events = shell.events()
    assert len(events) == 1 + said["kept"]
    assert [event.type for event in events if event.user_id != "demo"] == ["job_done"]


def test_it_goes_on_live_until_it_is_interrupted(shell: Shell) -> None:
    """What happens next is kept and shown when it happens; Ctrl-C ends it."""
    process = shell.start("demo", "--seed", "3")
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    with Bus(lines[0]["store"]) as bus:
        last = bus.store.head()
        assert lines[0]["kept"] < lines[1]["position"] <= last
