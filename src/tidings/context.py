"""Where events are made: host, user, process, directory, commit, batch job and CI run.

Found once per process from named environment variables, the kernel and `.git`; the rest of the
environment, which may hold secrets, is not looked at. Keeps promise 4 (a job is never hurt): what
cannot be told is left out, nothing is run, nothing is raised. It puts nothing into events; the bus
does.

    source           hpc inside a Slurm, PBS or LSF job; ci inside a CI run; else local
    correlation id   the first of these that there is:
                       TIDINGS_CORRELATION_ID
                       slurm:<cluster>:<array job id, or job id>
                       pbs:<array id, or job id>
                       lsf:<job id>
                       github:<owner/repository>:<run id>
                       gitlab:<group/project>:<pipeline id>
                       the trace id of TRACEPARENT
    causation id     TIDINGS_CAUSATION_ID

What someone set on purpose comes first. The batch job comes before the CI run: `sbatch` hands the
submitter's environment on, so CI's variables in a job may be inherited, and the process runs on the
cluster either way; to join the jobs of a CI run, set TIDINGS_CORRELATION_ID there, as `tidings run`
does for what it runs. A trace comes last, as it is mostly one request within something larger.
"""

from __future__ import annotations

import os
from collections import namedtuple

from tidings.errors import InvalidEvent
from tidings.fields import MAX_CHARACTERS, EncodedObject, encode_json, forbidden
from tidings.fields import name as checked_name
from tidings.git import read_checkout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Context", "child_environment", "current", "detect", "forget"]

_MAX_DIRECTORY = 4096  # PATH_MAX of Linux
_HEX = frozenset("0123456789abcdef")


class _System(namedtuple("_System", "marker within undertaking fields")):
    """A batch or CI system, by the variables it sets.

    `marker` is there in its jobs only. `within` names the field that tells its clusters or projects
    apart, `undertaking` the fields of which the first that is there numbers the larger undertaking.
    `fields` are the variables that are kept, and their names.
    """

    __slots__ = ()

    marker: str
    within: str
    undertaking: tuple[str, ...]
    fields: dict[str, str]


_BATCH_SYSTEMS = {
    "slurm": _System(
        marker="SLURM_JOB_ID",
        within="cluster",
        undertaking=("array_job_id", "job_id"),
        fields={
            "SLURM_JOB_ID": "job_id",
            "SLURM_ARRAY_JOB_ID": "array_job_id",
            "SLURM_ARRAY_TASK_ID": "array_task_id",
            "SLURM_ARRAY_TASK_COUNT": "array_task_count",
            "SLURM_STEP_ID": "step_id",
            "SLURM_PROCID": "procid",
            "SLURM_CLUSTER_NAME": "cluster",
            "SLURM_JOB_PARTITION": "partition",
            "SLURM_JOB_NAME": "job_name",
            "SLURM_RESTART_COUNT": "restart_count",
        },
    ),
    "pbs": _System(
        marker="PBS_JOBID",
        within="",  # the job id ends in the server's name
        undertaking=("array_id", "job_id"),
        fields={
            "PBS_JOBID": "job_id",
            "PBS_ARRAY_ID": "array_id",
            "PBS_ARRAY_INDEX": "array_index",
            "PBS_ARRAYID": "array_index",  # its name in Torque
            "PBS_JOBNAME": "job_name",
            "PBS_QUEUE": "queue",
        },
    ),
    "lsf": _System(
        marker="LSB_JOBID",
        within="",
        undertaking=("job_id",),  # one for all jobs of an array
        fields={
            "LSB_JOBID": "job_id",
            "LSB_JOBINDEX": "index",
            "LSB_JOBNAME": "job_name",
            "LSB_QUEUE": "queue",
        },
    ),
}
_CI_SYSTEMS = {
    "github": _System(
        marker="GITHUB_ACTIONS",
        within="repository",
        undertaking=("run_id",),
        fields={
            "GITHUB_RUN_ID": "run_id",
            "GITHUB_RUN_ATTEMPT": "run_attempt",
            "GITHUB_RUN_NUMBER": "run_number",
            "GITHUB_JOB": "job",
            "GITHUB_WORKFLOW": "workflow",
            "GITHUB_REPOSITORY": "repository",
            "GITHUB_REF": "ref",
            "GITHUB_SHA": "sha",
            "GITHUB_EVENT_NAME": "event_name",
        },
    ),
    "gitlab": _System(
        marker="GITLAB_CI",
        within="project_path",
        undertaking=("pipeline_id",),
        fields={
            "CI_PIPELINE_ID": "pipeline_id",
            "CI_JOB_ID": "job_id",
            "CI_JOB_NAME": "job_name",
            "CI_PROJECT_PATH": "project_path",
            "CI_COMMIT_REF_NAME": "ref",
            "CI_COMMIT_SHA": "sha",
            "CI_SERVER_HOST": "server",
        },
    ),
}
_SYSTEMS = {**_BATCH_SYSTEMS, **_CI_SYSTEMS}


class Context(namedtuple("Context", "source correlation_id causation_id fields text")):
    """Where events are made.

    `source` is `local`, `hpc` or `ci`; `fields` is what an event keeps as its context, and `text`
    the same as JSON, encoded once (empty where there are no fields).
    """

    __slots__ = ()

    source: str
    correlation_id: str | None
    causation_id: str | None
    fields: dict[str, Any]
    text: EncodedObject


def current() -> Context:
    """The context of this process, found when first asked for and anew after a fork.

    The directory and the state of its checkout are those of that moment, and so are the variables.
    """
    global _current
    context = _current
    if context is None:
        context = _current = detect()
    return context


def forget() -> None:
    """Let `current` look again, as after `chdir` or when variables were set in this process."""
    global _current
    _current = None


_current: Context | None = None
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def detect(environ: Mapping[str, str] | None = None, cwd: str | None = None) -> Context:
    """Find out where we are. `TIDINGS_CONTEXT=off` leaves the fields out, and nothing else.

    Args:
        environ: the variables; left out, those of the process.
        cwd: the directory; left out, the current one.

    >>> context = detect({"SLURM_JOB_ID": "4711", "SLURM_CLUSTER_NAME": "alps"}, cwd="/")
    >>> context.source, context.correlation_id, context.fields["slurm"]
    ('hpc', 'slurm:alps:4711', {'job_id': '4711', 'cluster': 'alps'})
    """
    variables = os.environ if environ is None else environ
    batch, ci = _places(variables, _BATCH_SYSTEMS), _places(variables, _CI_SYSTEMS)
    fields: dict[str, Any] = {}
    if variables.get("TIDINGS_CONTEXT", "").lower() != "off":
        fields = {**_process(variables, cwd), **batch, **ci}
    return Context(
        source="hpc" if batch else "ci" if ci or _is_on(variables.get("CI")) else "local",
        correlation_id=_correlation_id(variables, {**batch, **ci}),
        causation_id=_identifier(variables.get("TIDINGS_CAUSATION_ID")),
        fields=fields,
        text=EncodedObject(encode_json(fields) if fields else ""),
    )


def child_environment(correlation_id: str | None, causation_id: str | None) -> dict[str, str]:
    """The variables that make events of child processes part of the same undertaking.

    What is none is left out, so that a child inherits what there is; `TRACEPARENT` is left alone.

    >>> child_environment("slurm:alps:4711", None)
    {'TIDINGS_CORRELATION_ID': 'slurm:alps:4711'}
    """
    given = {"TIDINGS_CORRELATION_ID": correlation_id, "TIDINGS_CAUSATION_ID": causation_id}
    return {variable: value for variable, value in given.items() if value is not None}


# The fields ---------------------------------------------------------------------------------------


def _process(environ: Mapping[str, str], cwd: str | None) -> dict[str, Any]:
    directory = _directory() if cwd is None else cwd
    fields = {
        "host": _mended(_host(environ)),
        "user": _mended(_user(environ)),
        "pid": os.getpid(),
        "cwd": _mended(directory, _MAX_DIRECTORY),
        "git": _git(directory),
    }
    return {field: value for field, value in fields.items() if value}


def _host(environ: Mapping[str, str]) -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    return environ.get("COMPUTERNAME", "")


def _user(environ: Mapping[str, str]) -> str:
    for variable in ("LOGNAME", "USER", "USERNAME"):
        if user := environ.get(variable):
            return user
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, OSError):
        return ""


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed meanwhile
        return ""


def _git(directory: str) -> dict[str, Any]:
    checkout = read_checkout(directory) if directory else None
    if checkout is None:
        return {}
    fields = {
        "commit": checkout.commit,
        "branch": _mended(checkout.branch or "") or None,
        "dirty": checkout.dirty,
    }
    return {field: value for field, value in fields.items() if value is not None}


def _places(
    environ: Mapping[str, str], systems: Mapping[str, _System]
) -> dict[str, dict[str, str]]:
    """The systems we are inside of, each with its fields."""
    return {
        name: {
            field: _mended(value)
            for variable, field in system.fields.items()
            if (value := environ.get(variable))
        }
        for name, system in systems.items()
        if _is_on(environ.get(system.marker))
    }


def _is_on(value: str | None) -> bool:
    return bool(value) and str(value).lower() not in {"false", "0"}


def _mended(text: str, longest: int = MAX_CHARACTERS) -> str:
    """The text within bounds, with U+FFFD for every character that a field may not hold."""
    text = text[:longest]
    if text.isprintable():
        return text
    return "".join("\ufffd" if forbidden(character) else character for character in text)


# The ids ------------------------------------------------------------------------------------------


def _correlation_id(
    environ: Mapping[str, str], places: Mapping[str, Mapping[str, str]]
) -> str | None:
    candidates = (
        environ.get("TIDINGS_CORRELATION_ID"),
        *(_undertaking(system, fields) for system, fields in places.items()),
        _trace_id(environ.get("TRACEPARENT", "")),
    )
    return next(filter(None, map(_identifier, candidates)), None)


def _undertaking(system: str, fields: Mapping[str, str]) -> str | None:
    """The id of a whole job array, job or CI run; none where its number is not known."""
    known = _SYSTEMS[system]
    number = next((fields[field] for field in known.undertaking if field in fields), None)
    if number is None:
        return None
    parts = (system, fields.get(known.within), _without_index(number))
    return ":".join(part for part in parts if part)


def _without_index(job_id: str) -> str:
    """PBS's `17[3].server`, a job of the array `17[].server`, as the array; others as they are."""
    number, bracket, rest = job_id.partition("[")
    _, closing, server = rest.partition("]")
    return f"{number}[]{server}" if bracket and closing else job_id


def _identifier(value: str | None) -> str | None:
    """The id, if it is one an event may have."""
    try:
        return checked_name("id", value) if value else None
    except InvalidEvent:
        return None


def _trace_id(traceparent: str) -> str | None:
    """The trace id of a W3C `traceparent`: version, trace id, parent id and flags in hexadecimal.

    Source: W3C Trace Context, section 3.2; a version later than 00 may append to it.
    """
    parts = traceparent.split("-")
    if [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    version, trace_id, parent_id, flags = parts[:4]
    if not _HEX.issuperset(version + trace_id + parent_id + flags) or version == "ff":
        return None
    if version == "00" and len(parts) > 4:
        return None
    return trace_id if trace_id.strip("0") and parent_id.strip("0") else None
