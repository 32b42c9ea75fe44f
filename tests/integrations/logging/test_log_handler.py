"""The logging handler: what it keeps of records, and that nobody who logs waits or fails for it."""

from __future__ import annotations

import json
import logging
import logging.config
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tidings
from tidings.bus import Bus
from tidings.errors import InvalidSetting, StoreUnavailable
from tidings.integrations import log_handler
from tidings.integrations.log_records import LONGEST_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidings.event import Event
    from tidings.store.base import Batch

PATIENCE = 60.0


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger that nobody else listens to."""
    logger = logging.Logger("fit")  # noqa: LOG001 - the registry would keep it for other tests
    yield logger
    for handler in logger.handlers:
        handler.close()


def kept(**filters: Any) -> list[Event]:
    """What the default store holds, oldest first."""
    with Bus() as bus:
        return list(bus.read(**filters))


def test_a_record_becomes_an_event(log: logging.Logger) -> None:
    """With its message, its place, its extras, its time, and the context of the process."""
    log.addHandler(tidings.LogHandler(project="figrecipe", patience=PATIENCE))
    log.warning("step %d of %s", 3, "fit", extra={"residual": 0.25, "shape": (2, 3)})
    log.handlers[0].flush()
    (event,) = kept()
    assert (event.type, event.project, event.status) == ("log.warning", "figrecipe", "")
    assert event.payload["message"] == "step 3 of fit"
    assert (event.payload["logger"], event.payload["level"]) == ("fit", "WARNING")
    assert event.payload["where"]["function"] == "test_a_record_becomes_an_event"
    assert event.payload["extra"] == {"residual": 0.25, "shape": [2, 3]}
    assert event.context["pid"] > 0


@pytest.mark.parametrize(
    ("level", "event_type", "status"),
    [
        (logging.DEBUG, "log.debug", ""),
        (logging.INFO, "log.info", ""),
        (logging.ERROR, "log.error", "failure"),
        (logging.CRITICAL, "log.critical", "failure"),
        (35, "log.warning", ""),
        (99, "log.critical", "failure"),
    ],
)
def test_levels(log: logging.Logger, level: int, event_type: str, status: str) -> None:
    """The level gives the type, and from ERROR on a record is a failure."""
    log.addHandler(tidings.LogHandler(level=logging.DEBUG, patience=PATIENCE))
    log.log(level, "x")
    log.handlers[0].flush()
    (event,) = kept()
    assert (event.type, event.status) == (event_type, status)


def test_exceptions(log: logging.Logger) -> None:
    """What was raised is told with its type, message and traceback."""
    log.addHandler(tidings.LogHandler(patience=PATIENCE))
    try:
        raise KeyError("figure")  # noqa: TRY301 - it is what is told of
    except KeyError:
        log.exception("no such figure")
    log.error("nothing was raised", exc_info=True, stack_info=True)  # noqa: LOG014 - some do
    log.handlers[0].flush()
    raised, other = kept()
    assert raised.payload["exception"]["type"] == "builtins.KeyError"
    assert raised.payload["exception"]["message"] == "'figure'"
    assert "test_exceptions" in raised.payload["exception"]["traceback"]
    assert "exception" not in other.payload
    assert "test_exceptions" in other.payload["stack"]


SAID = "cannot log in with password=hunter2 at postgres://ann:hunter2@db/x"
BESIDE = {
    "api_key": "hunter2",
    "answers": ["Bearer hunter2", {"token": 7, "cookie": b"hunter2"}, ("X-Api-Key", "hunter2")],
}


@pytest.mark.parametrize("redact", [True, False])
def test_secrets(log: logging.Logger, *, redact: bool) -> None:
    """What looks like a secret is hidden in whatever a record says, unless all is asked for."""
    log.addHandler(tidings.LogHandler(patience=PATIENCE, redact=redact))
    try:
        raise ValueError("no such token: hunter2")  # noqa: TRY301 - it is what is told of
    except ValueError:
        log.exception(SAID, extra=BESIDE)
    log.handlers[0].flush()
    (event,) = kept()
    said = event.payload
    texts = [said["message"], said["exception"]["message"], said["exception"]["traceback"]]
    for text in (*texts, json.dumps(said["extra"])):
        assert ("hunter2" in text) is not redact
        assert ("[redacted]" in text) is redact
    assert said["extra"]["answers"][1]["token"] == 7


def test_secrets_of_ones_own(log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIDINGS_AGENT_REDACT` says what else is hidden; what is no pattern is an error at once."""
    monkeypatch.setenv("TIDINGS_AGENT_REDACT", "ACME-[0-9]+")
    log.addHandler(tidings.LogHandler(patience=PATIENCE))
    log.warning("%s was asked for", "ACME-17")
    log.handlers[0].flush()
    assert [event.payload["message"] for event in kept()] == ["[redacted] was asked for"]
    monkeypatch.setenv("TIDINGS_AGENT_REDACT", "(")
    with pytest.raises(InvalidSetting, match="TIDINGS_AGENT_REDACT"):
        tidings.LogHandler()


@pytest.mark.parametrize("before", [0, LONGEST_TEXT - 20, LONGEST_TEXT - 5])
def test_secrets_where_a_text_is_cut(log: logging.Logger, before: int) -> None:
    """A secret whose end lies beyond what is kept of a text is hidden as well."""
    log.addHandler(tidings.LogHandler(patience=PATIENCE))
    log.warning("%s ghp_%s %s", "x" * before, "a1" * 20, "y" * LONGEST_TEXT)
    log.handlers[0].flush()
    (event,) = kept()
    assert "a1" not in event.payload["message"]
    assert len(event.payload["message"]) == LONGEST_TEXT + 1


class Unshowable:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "extra",
    [
        {"x": Unshowable(), "y": object(), "z": {1: {2: {3: {4: {5: 6}}}}}},
        {"x": float("nan"), "y": [float("inf")], "z": {"\udcff": "\udcff"}},
        {"x": "long" * LONGEST_TEXT, "y": list(range(10_000)), "z": {None: b"\xff"}},
    ],
)
def test_whatever_is_extra(log: logging.Logger, extra: dict[str, object]) -> None:
    """A record is kept with whatever a program hangs on it, in bounded size."""
    log.addHandler(tidings.LogHandler(patience=PATIENCE))
    log.error("file \udcff %s", "m" * LONGEST_TEXT, extra=extra)
    log.handlers[0].flush()
    (event,) = kept()
    assert event.payload["extra"].keys() == extra.keys()
    assert len(json.dumps(event.payload)) < 4 * LONGEST_TEXT


def test_a_bad_format_is_logging_s_own_affair(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told as every handler tells it, and the next record is kept."""
    log.addHandler(tidings.LogHandler(patience=PATIENCE))
    log.error("%d", "x")
    log.error("good")
    log.handlers[0].flush()
    assert [event.payload["message"] for event in kept()] == ["good"]
    assert "Logging error" in capsys.readouterr().err


def test_configured_by_a_dict(tmp_path: Path) -> None:
    """`dictConfig` makes it from its name, with a store of its own."""
    url = f"sqlite:///{tmp_path}/logs.db"
    handler: dict[str, Any] = {
        "class": "tidings.LogHandler",
        "store": url,
        "project": "p",
        "level": "INFO",
    }
    handler |= {"patience": PATIENCE}
    logger = {"handlers": ["tidings"], "level": "INFO", "propagate": False}
    configuration = {"version": 1, "disable_existing_loggers": False}
    logging.config.dictConfig(
        {**configuration, "handlers": {"tidings": handler}, "loggers": {"configured": logger}}
    )
    logging.getLogger("configured").info("hello")
    for each in logging.getLogger("configured").handlers:
        each.close()
    logging.getLogger("configured").handlers.clear()
    with Bus(url) as bus:
        assert [event.project for event in bus.read()] == ["p"]


def test_a_store_that_means_nothing() -> None:
    """It is refused there and then, and logging has no half-made handler to flush at the end."""
    done = subprocess.run(
        [sys.executable, "-c", "import tidings; tidings.LogHandler('nonsense://x')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "'nonsense://x' names no backend" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1


def test_nothing_feeds_on_itself() -> None:
    """Records of Tidings, and of what its store stands on, are passed over."""
    handler = tidings.LogHandler("postgresql://127.0.0.1:1/none", level=logging.DEBUG)
    seen: list[str] = []
    handler.emit = lambda record: seen.append(record.name)  # type: ignore[method-assign]
    for name in ("tidings", "tidings.forward", "psycopg.pool", "nats.aio", "mine"):
        handler.handle(logging.makeLogRecord({"name": name, "levelno": logging.ERROR}))
    handler.close()
    assert seen == ["nats.aio", "mine"]


class Held:
    """Holds a handler's writes until it is told to go on, and fails them while it is away."""

    def __init__(self, handler: tidings.LogHandler) -> None:
        self.may_go_on = threading.Event()
        self.began = threading.Event()
        self.is_away = False
        self._keep_all = handler._bus.keep_all
        handler._bus.keep_all = self.keep_all  # type: ignore[method-assign]

    def keep_all(self, batches: Sequence[Batch], **options: Any) -> list[list[Event] | Exception]:
        """As the bus's."""
        self.began.set()
        assert self.may_go_on.wait(PATIENCE)
        if self.is_away:
            return [StoreUnavailable("the test took it away")] * len(batches)
        return self._keep_all(batches, **options)


def test_who_logs_never_waits(log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store hangs, records wait in bounded memory; how many were dropped is kept."""
    monkeypatch.setattr(log_handler, "MOST_WAITING", 5)
    handler = tidings.LogHandler(patience=PATIENCE)
    held = Held(handler)
    log.addHandler(handler)
    log.error("first")
    assert held.began.wait(PATIENCE)
    for n in range(8):
        log.error("n %d", n)
    held.may_go_on.set()
    handler.flush()
    assert [event.payload.get("message") for event in kept(types=["log.error"])] == [
        "first",
        *(f"n {n}" for n in range(5)),
    ]
    (dropped,) = kept(types=["log.dropped"])
    assert (dropped.payload, dropped.status) == ({"records": 3}, "failure")


def test_what_is_kept_nowhere_is_told(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once on standard error, and as a count in the store when it is back."""
    handler = tidings.LogHandler(patience=PATIENCE)
    held = Held(handler)
    held.may_go_on.set()
    held.is_away = True
    log.addHandler(handler)
    for _ in range(3):
        log.error("lost")
        handler.flush()
    assert capsys.readouterr().err.count("the test took it away") == 1
    held.is_away = False
    log.error("back")
    handler.flush()
    (dropped,) = kept(types=["log.dropped"])
    assert dropped.payload == {"records": 3}


def test_an_end_without_patience(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """A handler whose store hangs is closed all the same, and says what it could not keep."""
    handler = tidings.LogHandler(patience=0.01)
    held = Held(handler)
    log.addHandler(handler)
    log.error("first")
    assert held.began.wait(PATIENCE)
    log.error("second")
    handler.close()
    handler.close()
    log.error("after the end")
    assert capsys.readouterr().err == "tidings: 1 records could not be kept before the end\n"
    held.may_go_on.set()
    assert handler._thread is not None
    handler._thread.join(PATIENCE)
    handler._bus.close()


PROGRAM = """
import logging, multiprocessing, os, sys
import tidings

log = logging.getLogger("fit")

def work(context):
    if context == "spawn":
        log.addHandler(tidings.LogHandler(patience=60))
    log.error("%s", context)

if __name__ == "__main__":
    log.addHandler(tidings.LogHandler(patience=60))
    for n in range(500):
        log.error("n")
    child = os.fork()
    if child == 0:
        log.error("forked")
        logging.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    for context in ("fork", "spawn"):
        process = multiprocessing.get_context(context).Process(target=work, args=(context,))
        process.start()
        process.join()
    log.error("last")
"""


def test_processes_and_their_ends(tmp_path: Path) -> None:
    """What was logged right before an end is kept: in forks, workers and the main process."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    messages = [event.payload["message"] for event in kept()]
    assert messages.count("n") == 500
    assert sorted(set(messages)) == ["fork", "forked", "last", "n", "spawn"]
    assert len(messages) == 504


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every handler's thread ends with it."""
    yield
    for thread in threading.enumerate():
        if thread.name == "tidings-log":
            thread.join(PATIENCE)
    assert "tidings-log" not in [thread.name for thread in threading.enumerate()]
