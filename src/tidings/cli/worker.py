"""`tidings worker`: runs the handlers of a bus, and delivers, until a signal ends it.

It loads a user's module, says what it runs and waits for the signal; handlers are run by
`subscriptions`, webhooks, notices and watches by `delivery`. On the first SIGTERM or Ctrl-C what is
being handled is finished and noted, within some seconds; a second one ends at once.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from threading import Event as Flag
from threading import Thread

from tidings.aio import AsyncBus
from tidings.bus import Bus
from tidings.cli.command import Command, Option, WrongUsage
from tidings.cli.exit_codes import DONE, INTERRUPTED, SIGNALLED
from tidings.cli.opening import opened
from tidings.cli.show import printable, say
from tidings.errors import InvalidSetting, TidingsError, shorten
from tidings.masking import masked
from tidings.open_files import allow_many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType
    from typing import Any

    from tidings.cli.command import Given

__all__ = ["COMMANDS"]

_IMPORTLIB = importlib.__file__
_COLLECT_EVERY = 5.0
"""How often what waits in the spool is moved into the store (seconds)."""


class _Lines(logging.Formatter):
    """Lines for people; what an event or an error holds is no order to a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message; a traceback below it where there is one."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def _worker(given: Given) -> int:
    place, names, delivers = given.word(0), given["only"], not given["no_deliver"]
    if place is None and names:
        raise WrongUsage("--only is for handlers; say where they are: MODULE:BUS")
    if place is None and not delivers:
        raise WrongUsage("without MODULE:BUS and with --no-deliver there is nothing to run")
    if place is not None and given["url"] is not None:
        raise WrongUsage(
            f"--url is for a worker that only delivers; {shorten(place)} says itself where its "
            f"store is, or takes it from TIDINGS_URL"
        )
    with ExitStack() as held:
        if place is None:
            bus = held.enter_context(opened(given))
        else:
            bus = held.enter_context(_bus_at(place))
        _log_to_standard_error()
        return _run(bus, place, names, delivers=delivers)


def _run(bus: Bus, place: str | None, names: list[str], *, delivers: bool) -> int:
    from tidings.delivery.running import Delivery
    from tidings.subscriptions.leases import Leases
    from tidings.subscriptions.worker import Worker

    with _signals() as wait_for_signal, ExitStack() as running:
        leases = Leases(bus.store)
        running.callback(leases.close)
        doing = []
        if delivers:
            allow_many()  # each connection to a receiver is one
            delivery = Delivery(bus, leases=leases)
            running.callback(delivery.close)
            delivery.start()
            if bus.url.startswith(("http://", "https://")):
                doing.append("leaves webhooks, notices and watches to the server")
            else:
                doing.append("delivers webhooks, notices and watches")
        if place is not None:
            worker = Worker(bus, names=names or None, leases=leases)
            running.callback(worker.close)
            worker.start()
            doing.insert(0, f"runs {', '.join(worker.names)} of {place}")
        leases.start()
        running.enter_context(_collecting(bus))
        say(f"{' and '.join(doing)} on {printable(masked(bus.url))}; Ctrl-C ends it")
        ended_by = wait_for_signal()
        say("ending; what is being handled is finished first, and a second signal cuts it short")
    return INTERRUPTED if ended_by == signal.SIGINT else DONE


# The module ---------------------------------------------------------------------------------------


@contextmanager
def _bus_at(place: str) -> Iterator[Bus]:
    """The bus that `MODULE:BUS` names, closed at the end.

    Raises:
        WrongUsage: there is none, or it has no handlers.
    """
    found = _found(place)
    bus: Bus = found if isinstance(found, Bus) else found.bus
    if not bus.handlers:
        raise WrongUsage(
            f"{shorten(place)} has no handlers; one has a name: @bus.on(TYPE, name=NAME)"
        )
    try:
        yield bus
    finally:
        if isinstance(found, Bus):
            found.close()
        else:
            asyncio.run(found.close())


def _found(place: str) -> Bus | AsyncBus:
    module_name, _, path = place.partition(":")
    if module_name.endswith(".py") or os.sep in module_name:
        name = os.path.basename(module_name).removesuffix(".py")
        raise WrongUsage(f"{shorten(place)} names a file; name its module: {name}:{path or 'bus'}")
    if not module_name or not path:
        raise WrongUsage(f"{shorten(place)} must be MODULE:BUS, such as service:bus")
    found: Any = _imported(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise WrongUsage(
                f"there is no {name} in {module_name}, as {shorten(place)} says"
            ) from None
    if isinstance(found, (Bus, AsyncBus)):
        return found
    raise WrongUsage(
        f"{shorten(place)} is neither a Bus nor an AsyncBus, but of type {type(found).__name__}"
    )


def _imported(name: str) -> Any:
    """The module, looked for in the current directory first.

    Raises:
        WrongUsage: there is none.
        InvalidSetting: it cannot be imported. What it raised is shown as Python shows it.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything; it is all shown
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise WrongUsage(
                f"there is no module {error.name} in {here} or where Python looks (PYTHONPATH)"
            ) from None
        from traceback import print_exception

        print_exception(error.with_traceback(_from_the_module(error.__traceback__)))
        raise InvalidSetting(
            f"module {name} cannot be imported: {type(error).__name__}: {error}"
        ) from None


def _from_the_module(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without its beginning, which is about how Python imports modules."""
    while traceback is not None and _is_of_importing(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _is_of_importing(path: str) -> bool:
    return path in (__file__, _IMPORTLIB) or path.startswith("<frozen importlib")


# While it runs ------------------------------------------------------------------------------------


@contextmanager
def _signals() -> Iterator[Any]:
    """Take SIGTERM and SIGINT; gives what waits for the first one and returns its number."""
    # Python calls `take` once the main thread runs Python again, which it does not while it reads.
    # So the wakeup file brings the number: also of a signal that comes just before the read begins,
    # or that the system gives to another thread.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    taken: list[int] = []

    def take(number: int, _frame: FrameType | None) -> None:
        if taken:
            os._exit(SIGNALLED + number)
        taken.append(number)

    def wait() -> int:
        while True:
            (number,) = os.read(reader, 1)
            if number in before:
                return number

    before = {number: signal.signal(number, take) for number in (signal.SIGTERM, signal.SIGINT)}
    woken = signal.set_wakeup_fd(writer)
    try:
        yield wait
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


@contextmanager
def _collecting(bus: Bus) -> Iterator[None]:
    """Keep moving what waits in the spool into the store, where that is the one it is meant for."""
    stopping = Flag()

    def collect() -> None:
        while not stopping.is_set():
            try:
                if bus.spool.waiting():
                    bus.collect()
            except TidingsError as error:
                logging.getLogger("tidings").info("what is in the spool goes on waiting: %s", error)
            stopping.wait(_COLLECT_EVERY)

    thread = Thread(target=collect, name="tidings-collect", daemon=True)
    with Bus() as default:
        is_default = default.url == bus.url
    if is_default:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        if is_default:
            thread.join(_COLLECT_EVERY)


def _log_to_standard_error() -> None:
    """Show what is logged, unless the module has set that up as it likes."""
    logging.captureWarnings(capture=True)
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger("tidings").setLevel(logging.INFO)


COMMANDS = (
    Command(
        "worker",
        "run handlers, and deliver webhooks and notices, until Ctrl-C",
        ("[MODULE:BUS]",),
        (
            Option(("--only",), "NAME", "only this handler", repeat=True),
            Option(("--no-deliver",), "", "handlers only; no webhooks, notices and watches"),
        ),
        _worker,
        details="""\
  tidings worker service:bus     the handlers of `bus` in service.py, and deliveries
  tidings worker                 deliveries alone

The module is looked for in the current directory first. Start as many as you like, on as many
machines: they share the work, and what one was doing when it died another takes over within
seconds. SIGTERM or Ctrl-C finishes what is being handled; a second one ends at once. Exits with
0 after SIGTERM, with 130 after Ctrl-C.""",
    ),
)
