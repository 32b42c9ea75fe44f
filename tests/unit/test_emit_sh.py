"""`emit.sh` writes what `tidings.spool` reads, on any POSIX shell, and hurts no job.

`sh` runs everything; the other shells and awks of this machine, where there are any, run it too
(on Debian: apt install busybox ksh mksh gawk original-awk).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidings
from tidings.context import detect
from tidings.event import Event
from tidings.spool import Collected, Spool
from tidings.store.memory import MemoryStore
from tidings.store.query import Query

SCRIPT = str(Path(tidings.__file__).with_name("emit.sh"))
SHELLS = [
    command
    for command in (["sh"], ["dash"], ["bash", "--posix"], ["ksh"], ["mksh"], ["busybox", "sh"])
    if shutil.which(command[0])
]
AWKS = [name for name in ("mawk", "gawk", "original-awk", "busybox") if shutil.which(name)]
HOSTILE = [
    "",
    'a"b',
    "a\\b",
    "\\n\\u0041\\",
    "two\nlines\n",
    "\t\r\b\f\x1b\x7f",
    "".join(map(chr, range(1, 32))),
    "é€😀",
    "a=b=c",
    "a=b:=c",
    "$(touch /tmp/never) `id` ${HOME} %s %d %%",
    "*",
    "-n",
    "' \" '",
    "0x10",
    "1e5",
    "007",
    "x" * 100_000,
    "\\" * 30_000,
]
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool that is not made yet."""
    return Spool(str(tmp_path / "a spool"))


def emit(
    spool: Spool,
    *arguments: str | bytes,
    interpreter: list[str] | None = None,
    environ: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `emit.sh` with only the variables given."""
    variables = {"PATH": os.environ["PATH"], "TIDINGS_SPOOL": spool.directory, **(environ or {})}
    return subprocess.run(
        [*(interpreter or ["sh"]), SCRIPT, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )


def collected(spool: Spool) -> list[Event]:
    """The events in the spool; it must hold nothing else."""
    store = MemoryStore()
    waiting = spool.waiting()
    assert spool.collect(store) == Collected(kept=waiting, rejected=0, waiting=0)
    return list(store.read(Query()))


def emitted(
    spool: Spool,
    *arguments: str | bytes,
    interpreter: list[str] | None = None,
    environ: dict[str, str] | None = None,
) -> Event:
    """The one event that a call emits."""
    done = emit(spool, *arguments, interpreter=interpreter, environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (event,) = collected(spool)
    return event


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
class TestEveryShell:
    """What holds on each shell of this machine."""

    def test_an_event(self, spool: Spool, shell: list[str]) -> None:
        """Type, project, status and pairs arrive, in any order of options."""
        event = emitted(
            spool, "--project", "fig recipe", "job_done", "a=1", "--status=failure", "b=x y",
            interpreter=shell,
        )  # fmt: skip
        assert (event.type, event.project, event.status) == ("job_done", "fig recipe", "failure")
        assert event.payload == {"a": "1", "b": "x y"}
        assert event.source == "local"

    def test_what_it_says_about_itself(self, spool: Spool, shell: list[str]) -> None:
        """The id is a UUIDv7 of now, the time is canonical UTC, the context says where."""
        before = Event("before")
        event = emitted(spool, "job_done", interpreter=shell, environ={"LOGNAME": "ada"})
        after = Event("after")
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", event.id
        )
        assert before.id[:13] <= event.id[:13] <= after.id[:13]
        assert before.instant - 1_000_000 < event.instant <= after.instant
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.timestamp)
        assert event.payload == {}
        assert event.context == {"host": os.uname().nodename, "user": "ada", "pid": os.getpid()}

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:12]))
    def test_hostile_values(self, spool: Spool, shell: list[str], value: str) -> None:
        """Quotes, backslashes, control characters and shell syntax arrive as they were."""
        event = emitted(spool, "job_done", f"key={value}", f"k {value[:50]}.=v", interpreter=shell)
        key, _, rest = f"k {value[:50]}.=v".partition("=")
        assert event.payload == {"key": value, key: rest}

    def test_bytes_that_are_no_text(self, spool: Spool, shell: list[str]) -> None:
        """A file name in Latin-1 costs a letter, not the event."""
        event = emitted(spool, "job_done", b"file=caf\xe9.txt", interpreter=shell)
        assert event.payload == {"file": "caf\ufffd.txt"}

    def test_a_spool_that_cannot_be_made(self, tmp_path: Path, shell: list[str]) -> None:
        """It is said on stderr, with the path; the job goes on, unless --strict is given."""
        (tmp_path / "file").write_text("mine")
        spool = Spool(f"{tmp_path}/file/spool")
        for arguments, status in ((["job"], 0), (["--strict", "job"], 75)):
            done = emit(spool, *arguments, interpreter=shell)
            assert done.returncode == status
            assert done.stdout == ""
            assert f"the event was not kept: {spool.directory}" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "needs a type"),
            ([""], "needs a type"),
            (["--project"], "--project needs a value"),
            (["job", "--colour"], "--colour is no option"),
            (["job", "word"], "word is not key=value"),
            (["job", "=value=x"], "=value=x is not key=value"),
            (["job", "n:=5"], "a JSON value needs tidings emit"),
        ],
    )
    def test_wrong_usage(
        self, spool: Spool, shell: list[str], arguments: list[str], message: str
    ) -> None:
        """It is said, with the usage; nothing is written."""
        done = emit(spool, *arguments, interpreter=shell)
        assert done.returncode == 2
        assert message in done.stderr
        assert "usage: emit.sh TYPE" in done.stderr
        assert not Path(spool.directory).exists()


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:12]))
def test_every_awk(spool: Spool, tmp_path: Path, awk: str, value: str) -> None:
    """The JSON is right whichever awk the node has."""
    (tmp_path / "bin").mkdir()
    path = shutil.which(awk)
    (tmp_path / "bin" / "awk").symlink_to(str(path))
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    assert emitted(spool, "job", f"key={value}", environ=environ).payload == {"key": value}


KEYS = VALUES.filter(lambda key: key and "=" not in key and key[0] != "-" and key[-1] != ":")


@settings(max_examples=30)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, payload: dict[str, str]) -> None:
    """Any text that a command line can carry arrives as it was."""
    spool = Spool(str(tmp_path_factory.mktemp("spool")))
    event = emitted(spool, "job", *(f"{key}={value}" for key, value in payload.items()))
    assert event.payload == payload


class TestWhere:
    """Source, correlation and spool are found as Python finds them."""

    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"CI": "true"},
            {"CI": "false"},
            {"SLURM_JOB_ID": "17"},
            {"SLURM_JOB_ID": "18", "SLURM_ARRAY_JOB_ID": "17", "SLURM_CLUSTER_NAME": "alps"},
            {"SLURM_JOB_ID": "17", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "5"},
            {"PBS_JOBID": "17.server"},
            {"PBS_JOBID": "17[3].server"},
            {"PBS_JOBID": "17[3].server", "PBS_ARRAY_ID": "17[].server"},
            {"LSB_JOBID": "17"},
            {"CI": "1", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "5", "GITHUB_REPOSITORY": "a/b"},
            {"GITHUB_ACTIONS": "true"},
            {"GITLAB_CI": "true", "CI_PIPELINE_ID": "5", "CI_PROJECT_PATH": "group/sub/project"},
            {"TIDINGS_CORRELATION_ID": "mine", "SLURM_JOB_ID": "17"},
            {"TIDINGS_CORRELATION_ID": "x" * 256},
            {"TIDINGS_CORRELATION_ID": "two\nlines"},
            {"TIDINGS_CORRELATION_ID": 'quo"ted', "TIDINGS_CAUSATION_ID": "back\\slash"},
            {"TRACEPARENT": f"00-{'a1' * 16}-{'b2' * 8}-01"},
            {"TRACEPARENT": f"01-{'a1' * 16}-{'b2' * 8}-01-c3"},
            {"TRACEPARENT": f"00-{'a1' * 16}-{'b2' * 8}-01-c3"},
            {"TRACEPARENT": f"ff-{'a1' * 16}-{'b2' * 8}-01"},
            {"TRACEPARENT": f"00-{'00' * 16}-{'b2' * 8}-01"},
            {"TRACEPARENT": f"00-{'a1' * 16}-{'00' * 8}-01"},
            {"TRACEPARENT": f"00-{'A1' * 16}-{'b2' * 8}-01"},
            {"TRACEPARENT": "nonsense"},
        ],
        ids=str,
    )
    def test_as_python_finds_it(self, spool: Spool, environ: dict[str, str]) -> None:
        """`emit.sh` and `tidings.context` agree about source, correlation and causation."""
        event, context = emitted(spool, "job", environ=environ), detect(environ)
        assert event.source == context.source
        assert event.correlation_id == context.correlation_id
        assert event.causation_id == context.causation_id

    def test_no_context(self, spool: Spool) -> None:
        """`TIDINGS_CONTEXT=off` leaves host, user and process out."""
        assert emitted(spool, "job", environ={"TIDINGS_CONTEXT": "off"}).context == {}

    @pytest.mark.parametrize(
        ("environ", "place"),
        [
            ({"TIDINGS_HOME": "tidings", "HOME": "home"}, "tidings/spool"),
            ({"HOME": "home"}, "home/.tidings/spool"),
            ({"TIDINGS_SPOOL": "-spool", "HOME": "home"}, "-spool"),
        ],
    )
    def test_the_spool(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], place: str
    ) -> None:
        """TIDINGS_SPOOL, else the home of Tidings, else the user's, for the user only."""
        monkeypatch.chdir(tmp_path)
        emit(Spool(""), "job", environ=environ)
        spool = Spool(str(tmp_path / place))
        assert len(collected(spool)) == 1
        assert Path(spool.directory).stat().st_mode & 0o777 == 0o700

    def test_nowhere(self, spool: Spool) -> None:
        """Without any of the variables it says which it needs."""
        done = emit(spool, "--strict", "job", environ={"TIDINGS_SPOOL": ""})
        assert done.returncode == 75
        assert "none of TIDINGS_SPOOL, TIDINGS_HOME and HOME" in done.stderr


class TestTogether:
    """Many nodes write into one spool, and a full disk hurts no job."""

    def test_eight_at_once(self, spool: Spool) -> None:
        """Eight processes that start in an empty place lose nothing."""
        loop = 'for n in 1 2 3 4 5 6 7 8 9 10; do sh "$0" job n=$n || exit 1; done'
        environ = {"PATH": os.environ["PATH"], "TIDINGS_SPOOL": spool.directory}
        nodes = [subprocess.Popen(["sh", "-c", loop, SCRIPT], env=environ) for _ in range(8)]
        assert [node.wait(60) for node in nodes] == [0] * 8
        events = collected(spool)
        assert len({event.id for event in events}) == 80
        assert {event.payload["n"] for event in events} == set(map(str, range(1, 11)))

    def test_a_disk_that_takes_no_more(self, spool: Spool) -> None:
        """A write that ends halfway leaves nothing and is said; the job goes on."""
        limited = ["sh", "-c", 'ulimit -f 1; exec sh "$0" "$@"']
        done = emit(spool, "job", interpreter=limited)
        assert (done.returncode, done.stderr) == (0, "")
        done = emit(spool, "job", f"text={'x' * 9000}", interpreter=limited)
        assert done.returncode == 0
        assert f"{spool.directory} cannot be written" in done.stderr
        assert len(collected(spool)) == 1
        assert os.listdir(Path(spool.directory, "tmp")) == []
