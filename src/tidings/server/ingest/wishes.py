"""What a request for many events asks for in its query: all or none, and at which version."""

from __future__ import annotations

import re
from typing import NamedTuple

from tidings.server.problems import unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["Wishes", "wishes_of"]

_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)
_SWITCH = {"true": True, "false": False}


class Wishes(NamedTuple):
    """What is asked for beside the events.

    Attributes:
        atomic: all of them, or none.
        expected_version: the version their aggregate must stand at; none for any.
    """

    atomic: bool
    expected_version: int | None


_NOTHING = Wishes(atomic=False, expected_version=None)


def wishes_of(call: Call) -> Wishes:
    """What a request asks for.

    Raises:
        Problem: a parameter is not known, is there twice, or makes no sense (422).
    """
    if not call.scope["query_string"]:
        return _NOTHING
    given: dict[str, str] = {}
    for name, text in call.params:
        if name not in ("atomic", "expected_version"):
            raise unprocessable(name, text, "is no parameter here; atomic and expected_version are")
        if name in given:
            raise unprocessable(name, text, "must be given once")
        given[name] = text
    version = given.get("expected_version")
    if version is not None and not _VERSION.fullmatch(version):
        raise unprocessable("expected_version", version, "must be a whole number from 0 on")
    switch = given.get("atomic", "false")
    if switch not in _SWITCH:
        raise unprocessable("atomic", switch, "must be true or false")
    if version is None:
        return Wishes(atomic=_SWITCH[switch], expected_version=None)
    return Wishes(atomic=True, expected_version=int(version))
