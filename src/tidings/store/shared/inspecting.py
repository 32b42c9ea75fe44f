"""What is wrong with a shared log, and facts about it: for people, while others use it."""

from __future__ import annotations

import os

from tidings.errors import StoreTooNew
from tidings.filesystems import network_file_system
from tidings.store.replicated.log import LogTrimmed
from tidings.store.shared.files import VANISHED, NotPlain
from tidings.store.shared.layout import Broken, body_of, read_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidings.store.shared.lease import Lease
    from tidings.store.shared.place import Place
    from tidings.store.shared.segments import Segments

__all__ = ["facts", "faults"]

_LONG_SECONDS = 3600.0
_SHOWN = 20


def faults(place: Place, segments: Segments) -> list[str]:
    """What is wrong with the log, one sentence each; everything in it is read."""
    found = [*_bad_segments(segments), *_odd_files(place)]
    more = len(found) - _SHOWN
    return [*found[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]


def facts(place: Place, segments: Segments, lease: Lease) -> dict[str, Any]:
    """Facts about the log; `size` in bytes, each file once however many names it has."""
    kind = network_file_system(place.directory)
    files, size = _usage(place.directory)
    holder = lease.holder()
    return {
        "engine": f"shared directory on {kind or 'a local disk'}",
        "directory": place.directory,
        "segments": segments.count(),
        "waiting": len(place.files.names(place.path("new"))),
        "rejected": len(_rejected(place)),
        "files": files,
        "size": size,
        "ordered_by": "" if holder is None else f"{holder.get('host')} pid {holder.get('pid')}",
    }


def _bad_segments(segments: Segments) -> Iterator[str]:
    for number in range(segments.count()):
        try:
            opened = segments.opened(number)
            if opened is None:
                yield f"segment {number} is missing: {segments.path(number)}"
                continue
            file, segment = opened
            with file:
                for _ in body_of(file, segment.items, segments.path(number)):
                    pass
        except LogTrimmed:
            continue
        except Broken as error:
            yield str(error)
        except NotPlain:
            yield f"{segments.path(number)} is no plain file"
        except StoreTooNew as error:
            yield str(error)


def _odd_files(place: Place) -> Iterator[str]:
    rejected = _rejected(place)
    if rejected:
        yield (
            f"{len(rejected)} files in {place.path('rejected')} held no entries of this log; each "
            f"has a .reason beside it"
        )
    yield from _stuck_files(place)


def _stuck_files(place: Place) -> Iterator[str]:
    """What waits and will not be put in order by those who have been here."""
    newer = closed = old = 0
    names = place.files.names(place.path("new"))
    now = place.now() if names else 0.0
    for name in names:
        path = place.path("new", name)
        try:
            with place.files.opened(path) as file:
                old += now - place.files.changed(file) > _LONG_SECONDS
                read_header(file, path)
        except StoreTooNew:
            newer += 1
        except OSError as error:
            closed += error.errno not in VANISHED  # else another has just put it in order
        except (Broken, NotPlain):
            continue  # whoever puts in order next puts it aside
    if newer:
        yield (
            f"{newer} files in {place.path('new')} were written by a newer Tidings and wait for "
            f"one to put them in order; install that one here"
        )
    if closed:
        yield (
            f"{closed} files in {place.path('new')} cannot be read here; let this user read what "
            f"is written there"
        )
    if old:
        yield (
            f"{old} files in {place.path('new')} have waited for more than an hour; look who may "
            f"write there, and whether `tidings history` says what hinders"
        )


def _rejected(place: Place) -> list[str]:
    names = place.files.names(place.path("rejected"))
    return [name for name in names if not name.endswith(".reason")]


def _usage(directory: str) -> tuple[int, int]:
    """How many files there are below a directory, and what they take (bytes)."""
    sizes: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                facts = os.lstat(os.path.join(parent, name))
            except OSError:
                continue
            sizes[facts.st_dev, facts.st_ino] = facts.st_size
    return len(sizes), sum(sizes.values())
