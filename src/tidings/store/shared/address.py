"""Where a shared log is: what `shared:///directory?replica=PATH` says."""

from __future__ import annotations

import os
from typing import NamedTuple

from tidings.errors import InvalidSetting, shorten

__all__ = ["Address"]


class Address(NamedTuple):
    """Where a shared log is, and where the replica of this machine, if that is said.

    >>> Address.from_url("shared:////home/ada/events?replica=/scratch/ada")
    Address(directory='/home/ada/events', replica='/scratch/ada')
    """

    directory: str
    replica: str | None

    @classmethod
    def from_url(cls, url: str) -> Address:
        """The address a URL names; three slashes lead on from the working directory, four from /.

        Raises:
            InvalidSetting: it names no directory, or has an option that is not known.
        """
        rest, _, options = url.removeprefix("shared:").partition("?")
        path = rest.removeprefix("///")
        if path == rest or not path:
            raise InvalidSetting(f"store URL {shorten(url)} must be shared:///path/to/directory")
        replica = None
        for option in filter(None, options.split("&")):
            name, _, value = option.partition("=")
            if name != "replica":
                raise InvalidSetting(
                    f"store URL {shorten(url)}: option {shorten(name)} is not known; there is "
                    f"replica=DIRECTORY"
                )
            replica = value
        return cls(os.path.realpath(os.path.expanduser(path)), replica)
