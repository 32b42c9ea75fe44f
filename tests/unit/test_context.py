"""`tidings.context`: what it finds out about where events are made, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import context
from tidings.context import child_environment, detect
from tidings.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

SLURM = {"SLURM_JOB_ID": "4711", "SLURM_CLUSTER_NAME": "alps"}
SLURM_ARRAY = {
    **SLURM,
    "SLURM_ARRAY_JOB_ID": "4700",
    "SLURM_ARRAY_TASK_ID": "11",
    "SLURM_ARRAY_TASK_COUNT": "500",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "3",
    "SLURM_JOB_PARTITION": "long",
    "SLURM_JOB_NAME": "fit model",
    "SLURM_RESTART_COUNT": "1",
}
PBS = {"PBS_JOBID": "17.server", "PBS_JOBNAME": "fit", "PBS_QUEUE": "long"}
LSF = {"LSB_JOBID": "99", "LSB_JOBINDEX": "5", "LSB_JOBNAME": "fit[1-9]", "LSB_QUEUE": "long"}
GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "123",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_JOB": "test",
    "GITHUB_WORKFLOW": "CI",
    "GITHUB_REPOSITORY": "ada/figrecipe",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "0" * 40,
    "GITHUB_EVENT_NAME": "push",
}
GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_PIPELINE_ID": "55",
    "CI_JOB_ID": "56",
    "CI_JOB_NAME": "test",
    "CI_PROJECT_PATH": "ada/figrecipe",
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_SHA": "0" * 40,
    "CI_SERVER_HOST": "gitlab.example.org",
}
OTHERS = {"TIDINGS_CORRELATION_ID", "TIDINGS_CAUSATION_ID", "TIDINGS_CONTEXT", "TRACEPARENT"}
OTHERS |= {"LOGNAME", "USER", "PBS_ARRAY_ID", "PBS_ARRAYID"}


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Each test finds out anew, and leaves nothing behind."""
    context.forget()
    yield
    context.forget()


class TestProcess:
    """What the process itself says."""

    def test_host_user_and_process(self, tmp_path: Path) -> None:
        """Host, user, process id and directory are told."""
        fields = detect({"USER": "ada"}, cwd=str(tmp_path)).fields
        assert fields == {
            "host": os.uname().nodename,
            "user": "ada",
            "pid": os.getpid(),
            "cwd": str(tmp_path),
        }

    def test_the_login_name_comes_first(self) -> None:
        """`LOGNAME` comes before `USER`, as POSIX has it."""
        assert detect({"LOGNAME": "ada", "USER": "root"}).fields["user"] == "ada"

    def test_the_user_without_variables(self) -> None:
        """Where no variable names the user, the password database does."""
        import pwd

        assert detect({}).fields["user"] == pwd.getpwuid(os.getuid()).pw_name

    def test_the_current_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The directory is the current one where none is given."""
        monkeypatch.chdir(tmp_path)
        assert detect({}).fields["cwd"] == str(tmp_path)

    def test_a_directory_that_was_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the current directory is gone, it is left out."""
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        fields = detect({}).fields
        assert "cwd" not in fields
        assert "host" in fields

    def test_the_commit(self, tmp_path: Path) -> None:
        """Commit, branch and whether there are changes come from `.git`."""
        git(tmp_path, "init", "--quiet", "--initial-branch", "main")
        assert detect({}, cwd=str(tmp_path)).fields["git"] == {"branch": "main", "dirty": False}
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "one")
        commit = git(tmp_path, "rev-parse", "HEAD")
        assert detect({}, cwd=str(tmp_path)).fields["git"] == {
            "commit": commit,
            "branch": "main",
            "dirty": False,
        }

    def test_what_is_unknown_of_the_commit_is_left_out(self, tmp_path: Path) -> None:
        """A detached HEAD has no branch, and a torn index leaves open whether there are changes."""
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "one")
        git(tmp_path, "checkout", "--quiet", "--detach")
        (tmp_path / ".git" / "index").write_bytes(b"torn")
        commit = git(tmp_path, "rev-parse", "HEAD")
        assert detect({}, cwd=str(tmp_path)).fields["git"] == {"commit": commit}


class TestPlaces:
    """Batch and CI systems."""

    def test_slurm(self) -> None:
        """A task of a Slurm array is told with all that names it; the array is the undertaking."""
        found = detect(SLURM_ARRAY)
        assert (found.source, found.correlation_id) == ("hpc", "slurm:alps:4700")
        assert found.fields["slurm"] == {
            "job_id": "4711",
            "array_job_id": "4700",
            "array_task_id": "11",
            "array_task_count": "500",
            "step_id": "0",
            "procid": "3",
            "cluster": "alps",
            "partition": "long",
            "job_name": "fit model",
            "restart_count": "1",
        }

    def test_a_slurm_job_that_is_no_array(self) -> None:
        """A single job is its own undertaking, told by its cluster where that is known."""
        assert detect(SLURM).correlation_id == "slurm:alps:4711"
        assert detect({"SLURM_JOB_ID": "4711"}).correlation_id == "slurm:4711"

    @pytest.mark.parametrize(
        ("more", "index", "undertaking"),
        [
            ({}, None, "pbs:17.server"),
            ({"PBS_JOBID": "17[3].server", "PBS_ARRAY_INDEX": "3"}, "3", "pbs:17[].server"),
            ({"PBS_JOBID": "17[3].server", "PBS_ARRAYID": "3"}, "3", "pbs:17[].server"),
            ({"PBS_ARRAY_ID": "16[].server"}, None, "pbs:16[].server"),
            ({"PBS_JOBID": "17[.server"}, None, "pbs:17[.server"),
        ],
    )
    def test_pbs(self, more: dict[str, str], index: str | None, undertaking: str) -> None:
        """PBS jobs are told; the jobs of an array, of PBS or Torque, share an undertaking."""
        found = detect({**PBS, **more})
        assert (found.source, found.correlation_id) == ("hpc", undertaking)
        assert found.fields["pbs"].get("array_index") == index
        assert found.fields["pbs"]["queue"] == "long"

    def test_lsf(self) -> None:
        """The jobs of an LSF array have one job id, which is the undertaking."""
        found = detect(LSF)
        assert (found.source, found.correlation_id) == ("hpc", "lsf:99")
        assert found.fields["lsf"] == {
            "job_id": "99",
            "index": "5",
            "job_name": "fit[1-9]",
            "queue": "long",
        }

    def test_github(self) -> None:
        """A run of GitHub Actions is told; its attempts are one undertaking."""
        found = detect(GITHUB)
        assert (found.source, found.correlation_id) == ("ci", "github:ada/figrecipe:123")
        assert found.fields["github"] == {
            "run_id": "123",
            "run_attempt": "2",
            "run_number": "7",
            "job": "test",
            "workflow": "CI",
            "repository": "ada/figrecipe",
            "ref": "refs/heads/main",
            "sha": "0" * 40,
            "event_name": "push",
        }

    def test_gitlab(self) -> None:
        """A pipeline of GitLab is told, and is the undertaking."""
        found = detect(GITLAB)
        assert (found.source, found.correlation_id) == ("ci", "gitlab:ada/figrecipe:55")
        assert found.fields["gitlab"] == {
            "pipeline_id": "55",
            "job_id": "56",
            "job_name": "test",
            "project_path": "ada/figrecipe",
            "ref": "main",
            "sha": "0" * 40,
            "server": "gitlab.example.org",
        }

    @pytest.mark.parametrize(
        ("value", "source"),
        [
            ("true", "ci"),
            ("True", "ci"),
            ("1", "ci"),
            ("false", "local"),
            ("0", "local"),
            ("", "local"),
        ],
    )
    def test_another_ci_system(self, value: str, source: str) -> None:
        """`CI`, which most systems set, says that we are in one, and no more."""
        found = detect({"CI": value})
        assert (found.source, found.correlation_id) == (source, None)

    def test_nowhere_in_particular(self) -> None:
        """Without any such variable the source is `local`, and there is no undertaking."""
        found = detect({})
        assert (found.source, found.correlation_id, found.causation_id) == ("local", None, None)
        assert not {"slurm", "pbs", "lsf", "github", "gitlab"} & set(found.fields)

    def test_a_job_that_ci_submitted(self) -> None:
        """In a batch job with CI's variables the job counts, and both are told."""
        found = detect({**SLURM, **GITHUB})
        assert (found.source, found.correlation_id) == ("hpc", "slurm:alps:4711")
        assert {"slurm", "github"} <= set(found.fields)


class TestIds:
    """Correlation and causation."""

    def test_the_order(self) -> None:
        """What was set on purpose comes first, then the job, the CI run, and the trace."""
        everything = {
            "TIDINGS_CORRELATION_ID": "mine",
            **SLURM,
            **PBS,
            **LSF,
            **GITHUB,
            **GITLAB,
            "TRACEPARENT": f"00-{TRACE}-{SPAN}-01",
        }
        expected = [
            ("TIDINGS_CORRELATION_ID", "mine"),
            ("SLURM_JOB_ID", "slurm:alps:4711"),
            ("PBS_JOBID", "pbs:17.server"),
            ("LSB_JOBID", "lsf:99"),
            ("GITHUB_ACTIONS", "github:ada/figrecipe:123"),
            ("GITLAB_CI", "gitlab:ada/figrecipe:55"),
            ("TRACEPARENT", TRACE),
        ]
        for variable, correlation_id in expected:
            assert detect(everything).correlation_id == correlation_id
            del everything[variable]
        assert detect(everything).correlation_id is None

    def test_causation(self) -> None:
        """What caused an event is told by its variable only."""
        found = detect({"TIDINGS_CAUSATION_ID": "parent", "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"})
        assert (found.correlation_id, found.causation_id) == (TRACE, "parent")

    @pytest.mark.parametrize("bad", ["", "two\nlines", "x" * 256, "\x1b[31m", "\udc80"])
    def test_an_id_that_no_event_may_have(self, bad: str) -> None:
        """An id that breaks the rules of events is passed over, not cut into another id."""
        found = detect({"TIDINGS_CORRELATION_ID": bad, "TIDINGS_CAUSATION_ID": bad, **SLURM})
        assert (found.correlation_id, found.causation_id) == ("slurm:alps:4711", None)

    def test_a_system_that_does_not_say_which_run(self) -> None:
        """Without a number there is no undertaking, rather than one that all runs share."""
        assert detect({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b"}).correlation_id is None

    @pytest.mark.parametrize(
        "valid",
        [
            f"00-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-00",
            f"01-{TRACE}-{SPAN}-01",
            f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        ],
    )
    def test_a_trace(self, valid: str) -> None:
        """The trace id of a valid `traceparent`, later versions included, is the undertaking."""
        assert detect({"TRACEPARENT": valid}).correlation_id == TRACE

    @pytest.mark.parametrize(
        "invalid",
        [
            "",
            TRACE,
            f"00-{TRACE}-{SPAN}",
            f"00-{TRACE}-{SPAN}-",
            f"00-{TRACE}-{SPAN}-0",
            f"00-{TRACE}-{SPAN}-01-more",
            f"00-{TRACE}-{SPAN}-01-",
            f"ff-{TRACE}-{SPAN}-01",
            f"0-{TRACE}-{SPAN}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{TRACE[:-1]}-{SPAN}-01",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE}-{SPAN[:-1]}g-01",
            f"00-{TRACE}-{SPAN}-zz",
            f" 00-{TRACE}-{SPAN}-01",
            f"00_{TRACE}_{SPAN}_01",
        ],
    )
    def test_no_trace(self, invalid: str) -> None:
        """A `traceparent` against W3C Trace Context is as if it were not there."""
        assert detect({"TRACEPARENT": invalid}).correlation_id is None

    def test_children_take_part(self) -> None:
        """What is handed to a child makes it find the same ids."""
        handed = child_environment("slurm:alps:4711", "event-1")
        found = detect({**GITHUB, **handed})
        assert (found.correlation_id, found.causation_id) == ("slurm:alps:4711", "event-1")

    def test_children_inherit_what_is_not_handed_to_them(self) -> None:
        """Ids that are none are left out, so nothing inherited is lost; so is `TRACEPARENT`."""
        assert child_environment(None, None) == {}
        assert child_environment(None, "x") == {"TIDINGS_CAUSATION_ID": "x"}


class TestBounds:
    """What others wrote into the environment hurts no event, and nothing more is looked at."""

    def test_long_values_are_cut(self) -> None:
        """A description is at most 255 characters, a directory 4,096."""
        fields = detect({**SLURM, "SLURM_JOB_NAME": "x" * 300}, cwd="/" + "d" * 9999).fields
        assert fields["slurm"]["job_name"] == "x" * 255
        assert fields["cwd"] == "/" + "d" * 4095

    def test_control_characters_are_replaced(self) -> None:
        """Control characters, line breaks and lone surrogates become U+FFFD; the rest stays."""
        name = "a\nb\x1b\x9b\udc80 \N{NO-BREAK SPACE}é\N{ZERO WIDTH JOINER}"
        fields = detect({"USER": name}, cwd="/a\nb").fields
        assert fields["user"] == "a�b��� \N{NO-BREAK SPACE}é\N{ZERO WIDTH JOINER}"
        assert fields["cwd"] == "/a�b"

    def test_empty_values_are_left_out(self) -> None:
        """A variable that is empty says nothing."""
        found = detect({"SLURM_JOB_ID": "", "GITHUB_ACTIONS": "", "USER": ""})
        assert found.source == "local"
        assert found.fields["user"]
        assert detect({**SLURM, "SLURM_JOB_NAME": ""}).fields["slurm"].keys() == {
            "job_id",
            "cluster",
        }

    def test_secrets_are_not_looked_at(self) -> None:
        """Only variables with a known meaning are read, one by one."""
        secrets = {
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "GITHUB_TOKEN": "hidden",
            "CI_JOB_TOKEN": "hidden",
            "SLURM_JWT": "hidden",
            "TIDINGS_API_KEY": "hidden",
        }
        found = detect(OneByOne({**GITHUB, **GITLAB, **SLURM, **secrets}), cwd="/")
        assert "hidden" not in repr(found)

    @pytest.mark.parametrize("off", ["off", "OFF"])
    def test_switched_off(self, off: str) -> None:
        """`TIDINGS_CONTEXT=off` leaves out the fields; source and ids stay."""
        found = detect({"TIDINGS_CONTEXT": off, "TIDINGS_CAUSATION_ID": "c", **SLURM})
        assert (found.fields, found.text) == ({}, "")
        assert found[:3] == ("hpc", "slurm:alps:4711", "c")
        event = Event("x", id="1", timestamp="2026-01-01", context=found.text)
        assert event == Event("x", id="1", timestamp="2026-01-01")

    def test_the_text_is_what_an_event_keeps(self) -> None:
        """The text, encoded once, gives an event the fields."""
        found = detect(GITHUB)
        assert json.loads(found.text) == found.fields
        event = Event("job_done", context=found.text)
        assert event.context == found.fields
        assert event == Event.from_dict(event.to_dict())

    @given(
        environ=st.dictionaries(
            st.sampled_from(sorted({*SLURM_ARRAY, *PBS, *LSF, *GITHUB, *GITLAB, *OTHERS})),
            st.text(st.characters(), max_size=300)
            | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}-?", fullmatch=True)
            | st.sampled_from(["off", "true", "\udcff", "x" * 256, "[]", "1[", "\0"]),
        ),
        cwd=st.text(st.characters(), max_size=40),
    )
    def test_any_environment_makes_an_event(self, environ: dict[str, str], cwd: str) -> None:
        """Whatever the variables hold, nothing is raised and an event takes what is found."""
        found = detect(environ, cwd=cwd)
        event = Event(
            "job_done",
            source=found.source,
            correlation_id=found.correlation_id,
            causation_id=found.causation_id,
            context=found.text,
        )
        assert event.context == found.fields
        assert json.loads(json.dumps(event.to_dict())) == event.to_dict()


class OneByOne(dict[str, str]):
    """An environment that can be asked for a variable, and not for all of them."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the environment is not to be looked through")

    keys = values = items = copy = __iter__  # type: ignore[assignment]  # none of them may be used


class TestCurrent:
    """The context of the process, found once."""

    def test_is_found_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same context is given again, also after the directory has changed."""
        first = context.current()
        monkeypatch.chdir(tmp_path)
        assert context.current() is first

    def test_is_found_anew_when_forgotten(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who changed directory or variables can say so."""
        context.current()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TIDINGS_CORRELATION_ID", "mine")
        context.forget()
        found = context.current()
        assert (found.fields["cwd"], found.correlation_id) == (str(tmp_path), "mine")

    def test_is_found_anew_after_a_fork(self) -> None:
        """A forked child has its own process id, and the parent keeps the context it had."""
        script = """
import os
from tidings import context
before = context.current()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"%d %d" % (context.current().fields["pid"], os.getpid()))
    os._exit(0)
os.wait()
told, actual = os.read(read, 100).split()
assert told == actual != b"%d" % os.getpid()
assert context.current() is before
"""
        subprocess.run([sys.executable, "-c", script], check=True)


def test_finding_out_stays_light() -> None:
    """Neither importing nor detecting loads what a shell emit cannot afford."""
    script = """
import sys
before = set(sys.modules)
from tidings import context
context.current()
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    heavy = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "platform", "random"}
    heavy |= {"shutil", "socket", "subprocess", "tempfile", "urllib", "uuid", "datetime"}
    assert not heavy & set(done.stdout.split())


def git(directory: Path, *arguments: str) -> str:
    """What `git` prints, run in a directory and by nobody in particular."""
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(
        ["git", *person, *arguments], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()
