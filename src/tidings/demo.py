"""A story to look at: a research project's day, as events.

A Slurm array of 500 tasks of which one fails, CI runs, a manuscript's builds, and AI agents at work
of which one fails in the middle of a workflow and one waits for an answer that nobody gives. Made
up, the same for each seed but for the ids of its events; with times, payloads and contexts as the
real ones have. All of it says that it is on behalf of the user `demo`, by which it can be told from
what happened. It makes events and keeps none; `tidings demo` does.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from tidings.ids import new_id
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["USER", "Scene", "day", "live", "told"]

USER = "demo"
"""On whose behalf all of it happened."""

PROJECT = "figrecipe"
ARRAY = "slurm:alps:4711"
TASKS = 500
_FAILING_TASK = 217
_NODES = 40
_SECOND = 1_000_000
_CHECKOUT = {"commit": "9f3c2e7d41b86a5508c1f2aa7be0436d5a9e1c70", "branch": "main", "dirty": False}

_TRACE = """epoch 12/40  loss 0.0312
epoch 13/40  loss 0.0309
Traceback (most recent call last):
  File "fit.py", line 88, in <module>
    main(sys.argv[1])
  File "fit.py", line 61, in main
    chains = sampler.run(data, steps=4000)
MemoryError: Unable to allocate 31.8 GiB for an array with shape (4000, 1068000)"""


class Scene(NamedTuple):
    """One event of the story, and when it happens (microseconds after the story's beginning).

    `began` is when that began whose end it is, where its payload says that.
    """

    at: int
    fields: dict[str, Any]
    began: int | None = None


def day(seed: int = 1) -> list[Scene]:
    """What has happened in the last two hours, in order."""
    chance = _chance(seed)
    scenes = [
        *_array(chance, 300),
        *(scene for n in range(9) for scene in _ci(chance, 240 + 760 * n, 3100 + n)),
        *(scene for n in range(5) for scene in _build(chance, 700 + 1300 * n, 8)),
        *_waiting(3000, "workflow-translate"),
        *_workflow(chance, 5200, "workflow-figures", fails=False, pace=18),
        *_workflow(chance, 6300, "workflow-review", fails=True, pace=18),
        *(scene for n in range(12) for scene in _small_job(chance, 6250 + 40 * n)),
    ]
    return sorted(scenes, key=lambda scene: scene.at)


def live(seed: int = 2) -> Iterator[Scene]:
    """What happens from now on, without end, at a human pace."""
    chance = _chance(seed)
    at = 0.0
    while True:
        name = f"{chance.getrandbits(24):06x}"
        kind = chance.choices((_ci, _build, _workflow, _small_job), (3, 2, 2, 6))[0]
        if kind is _workflow:
            fails = chance.random() < 0.2
            scenes = _workflow(chance, at, f"workflow-{name}", fails=fails, pace=1)
        elif kind is _ci:
            scenes = _ci(chance, at, int(name, 16), took=chance.uniform(3, 8))
        elif kind is _build:
            scenes = _build(chance, at, chance.uniform(2, 4))
        else:
            scenes = _small_job(chance, at)
        scenes = sorted(scenes, key=lambda scene: scene.at)
        yield from scenes
        at = scenes[-1].at / _SECOND + chance.uniform(1, 5)


def told(scene: Scene, begin: int) -> dict[str, Any]:
    """The event's fields, with the times it has if the story begins at this instant."""
    fields = {**scene.fields, "timestamp": format_instant(begin + scene.at)}
    if scene.began is not None:
        started_at = format_instant(begin + scene.began)
        fields["payload"] = {**fields["payload"], "started_at": started_at}
    return fields


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a story needs no secrecy


def _scene(
    seconds: float,
    event_type: str,
    status: str,
    payload: dict[str, Any],
    **fields: Any,
) -> Scene:
    said = {
        "id": new_id(),
        "type": event_type,
        "project": PROJECT,
        "status": status,
        "payload": payload,
        "user_id": USER,
        **fields,
    }
    return Scene(round(seconds * _SECOND), said)


# Runs -----------------------------------------------------------------------------------------


def _array(chance: random.Random, begin: float) -> Iterator[Scene]:
    """The tasks of a Slurm array, as `tidings run` tells of them: each when a node is free."""
    free = [begin + chance.uniform(0, 20) for _ in range(_NODES)]
    for task in range(TASKS):
        node = min(range(_NODES), key=free.__getitem__)
        failed = task == _FAILING_TASK
        took = 73.4 if failed else max(30, chance.gauss(240, 45))
        slurm = {
            "job_id": str(4712 + task),
            "array_job_id": "4711",
            "array_task_id": str(task),
            "array_task_count": str(TASKS),
            "cluster": "alps",
            "partition": "normal",
            "job_name": "fit",
        }
        yield from _run(
            free[node],
            took,
            command=["python", "fit.py", str(task)],
            undertaking=ARRAY,
            tail=_TRACE if failed else _converged(chance, task),
            failed=failed,
            max_rss=31_800_000_000 if failed else chance.randrange(1_900, 2_400) * 1_000_000,
            source="hpc",
            context=_where(f"n{node + 1:02}", chance.randrange(9_000, 60_000), slurm=slurm),
        )
        free[node] += took + chance.uniform(1, 4)


def _converged(chance: random.Random, task: int) -> str:
    loss = chance.uniform(0.0281, 0.0309)
    return f"epoch 40/40  loss {loss:.4f}\nchain {task} converged, R-hat {1 + loss / 8:.3f}"


def _small_job(chance: random.Random, at: float) -> list[Scene]:
    command, ends = chance.choice(
        (
            (["make", "figures"], "4 figures drawn"),
            (["python", "clean.py"], "1,204 rows kept, 11 dropped"),
            (["snakemake", "-j8"], "7 of 7 steps (100%) done"),
        )
    )
    failed = chance.random() < 0.08
    return list(
        _run(
            at,
            chance.uniform(1, 9),
            command=command,
            undertaking=None,
            tail=f"{command[0]}: no space left on device" if failed else ends,
            failed=failed,
            max_rss=chance.randrange(60, 900) * 1_000_000,
            source="local",
            context=_where("login1", chance.randrange(9_000, 60_000)),
        )
    )


def _run(
    at: float,
    took: float,
    *,
    command: list[str],
    undertaking: str | None,
    tail: str,
    failed: bool,
    max_rss: int,
    **fields: Any,
) -> Iterator[Scene]:
    start, run = new_id(), new_id()
    about = {
        "aggregate_type": "run",
        "aggregate_id": run,
        "correlation_id": undertaking or run,
        **fields,
    }
    yield _scene(at, "run.started", "", {"command": command}, id=start, **about)
    end = {
        "command": command,
        "exit_code": int(failed),
        "max_rss": max_rss,
        "duration": round(took, 6),
        "tail": tail,
    }
    status = _outcome(failed)
    ended = _scene(at + took, "run.completed", status, end, causation_id=start, **about)
    yield ended._replace(began=round(at * _SECOND))


def _where(host: str, pid: int, **systems: dict[str, str]) -> dict[str, Any]:
    """A context as `tidings.context` finds it."""
    cwd = f"/home/ada/{PROJECT}"
    return {"host": host, "user": "ada", "pid": pid, "cwd": cwd, "git": _CHECKOUT, **systems}


def _outcome(failed: bool) -> str:  # noqa: FBT001 - it is what its name asks for
    return "failure" if failed else "success"


# CI and manuscript ----------------------------------------------------------------------------


def _ci(chance: random.Random, at: float, number: int, took: float | None = None) -> list[Scene]:
    """A run of the tests in CI, which tells of its end."""
    failed = chance.random() < 0.15
    took = took or chance.uniform(60, 140)
    module = chance.choice(("stats", "plots", "io", "cli"))
    lines = f"3 failed, 409 passed in {took:.1f}s" if failed else f"412 passed in {took:.1f}s"
    if failed:
        lines = f"FAILED tests/{module}/test_axes.py::test_log_ticks - assert 7 == 8\n{lines}"
    run = str(number)
    github = {
        "run_id": run,
        "run_attempt": "1",
        "job": "test",
        "workflow": "CI",
        "repository": f"lab/{PROJECT}",
        "ref": "refs/heads/main",
        "sha": _CHECKOUT["commit"],
        "event_name": "push",
    }
    return [
        _scene(
            at + took,
            "test_complete",
            _outcome(failed),
            {"exit_code": int(failed), "module": module, "log_tail": lines},
            source="ci",
            correlation_id=f"github:lab/{PROJECT}:{run}",
            context={**_where("runner-7", 1), "github": github},
        )
    ]


def _build(chance: random.Random, at: float, took: float) -> list[Scene]:
    """A build of the manuscript."""
    failed = chance.random() < 0.2
    errors = ["Undefined control sequence \\figwidth at line 212"] if failed else []
    payload = {"doc_type": "manuscript", "success": not failed, "errors": errors}
    about = {"project": "paper", "source": "local", "context": _where("desk", 4242)}
    return [_scene(at + took, "build_result", _outcome(failed), payload, **about)]


# Agents ---------------------------------------------------------------------------------------

_PROMPTS = {
    "workflow-figures": "Redraw figures 2 to 5 in the journal's style and check their captions",
    "workflow-review": "Check every citation of section 3 against the library and mend wrong ones",
    "workflow-translate": "Translate the supplement into French, and ask before you drop a table",
}
_LOST = "library.find: HTTP 503 from the catalogue, after 5 attempts"
_TOOLS = ("search", "read", "write")


def _workflow(
    chance: random.Random, at: float, name: str, *, fails: bool, pace: float
) -> list[Scene]:
    """Agents that an orchestrator starts, and one that one of these does; perhaps one fails."""
    start, orchestrator = new_id(), f"{name}-orchestrator"
    scenes = _begun(at, name, start)
    end = at
    agents = (
        ("searcher", orchestrator, 1.5, 8),
        ("reader", orchestrator, 3.5, 12),
        ("citations", f"{name}-reader", 5.5, 7),
        ("writer", orchestrator, 9, 7),
        ("checker", orchestrator, 13, 5),
    )
    for role, parent, after, took in agents:
        begin = at + pace * (after + chance.uniform(0, 1))
        lasts = pace * took * chance.uniform(0.8, 1.2)
        error = _LOST if fails and role == "citations" else ""
        if fails and role == "reader":
            error = "citations gave up; 41 of 58 citations were checked"
        scenes += _agent(begin, f"{name}-{role}", role, name, parent, (lasts, error))
        end = max(end, begin + lasts)
    message = "the reader failed; the rest is done" if fails else "all is done and checked"
    scenes.append(_end(end + 1, orchestrator, "orchestrator", name, message, failed=fails))
    state, key = ("failed", "error") if fails else ("completed", "message")
    kind, about = f"workflow.{state}", _of_workflow(name)
    said = {key: message}
    scenes.append(_scene(end + 1.6, kind, _outcome(fails), said, causation_id=start, **about))
    return scenes


def _waiting(at: float, name: str) -> list[Scene]:
    """A workflow that waits for an answer nobody gives."""
    orchestrator, agent = f"{name}-orchestrator", f"{name}-translator"
    scenes = _begun(at, name, new_id())
    scenes += _agent(at + 9, agent, "translator", name, orchestrator, None)
    asked = "Table S4 has no French source. Drop it?"
    said = {"message": asked, "agent_name": "translator", "agent_id": agent}
    waits = "agent.translator.waiting"
    return [*scenes, _scene(at + 240, waits, "", said, **_of_agent(agent, name))]


def _begun(at: float, name: str, start: str) -> list[Scene]:
    prompt = _PROMPTS.get(name, "Summarise what changed in the results since yesterday")
    said, about = {"user_prompt": prompt}, _of_workflow(name)
    begun = _scene(at, "workflow.started", "", said, id=start, **about)
    orchestrator = _agent(at + 0.4, f"{name}-orchestrator", "orchestrator", name, start, None)
    return [begun, *orchestrator]


def _agent(
    at: float, agent: str, role: str, workflow: str, cause: str, end: tuple[float, str] | None
) -> list[Scene]:
    """An agent that starts, works and, where its end is said, ends."""
    about = _of_agent(agent, workflow)
    said = {"agent_name": role, "agent_id": agent}
    start = new_id()
    scenes = [_scene(at, f"agent.{role}.started", "", said, id=start, causation_id=cause, **about)]
    if end is None:
        return scenes
    took, error = end
    for n, tool in enumerate(_TOOLS, 1):
        payload = {"tool_name": tool, "output": f"{12 * n} passages", **said}
        kind = f"agent.{role}.tool_used"
        scenes.append(_scene(at + took * n / 4, kind, "", payload, causation_id=start, **about))
    last = _end(at + took, agent, role, workflow, error, failed=bool(error))
    last.fields["causation_id"] = start
    return [*scenes, last]


def _end(at: float, agent: str, role: str, workflow: str, message: str, *, failed: bool) -> Scene:
    said = {"error" if failed else "message": message or "done", "success": not failed}
    said |= {"agent_name": role, "agent_id": agent}
    state = "failed" if failed else "completed"
    kind = f"agent.{role}.{state}"
    return _scene(at, kind, _outcome(failed), said, **_of_agent(agent, workflow))


def _of_workflow(name: str) -> dict[str, str]:
    about = {"aggregate_type": "workflow", "aggregate_id": name}
    return {**about, "correlation_id": name, "source": "mcp"}


def _of_agent(agent: str, workflow: str) -> dict[str, str]:
    about = {"aggregate_type": "agent", "aggregate_id": agent}
    return {**about, "correlation_id": workflow, "source": "mcp"}
