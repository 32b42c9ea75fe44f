"""What `tidings doctor` says of the drop-ins: whether each name leads to them, and not elsewhere.

`tidings-dropins` brings the import names of other distributions. Where one of those is installed
too, both have written the same files, and whichever came last is what runs. It looks at the files
and at what pip wrote down; it imports none of them.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from importlib.util import find_spec
from urllib.parse import unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAMES", "look"]

NAMES = {
    "scitex-events": "scitex_events",
    "events-py": "events_py",
    "eventuali-api-server": "eventuali_api_server",
    "eventuali-mcp-server": "eventuali_mcp_server",
}
"""The distributions whose import names the drop-ins bring."""

_OURS = "tidings-dropins"
_BRING_BACK = f"pip install --force-reinstall --no-deps {_OURS}"


def look() -> Iterator[tuple[bool, str, str]]:
    """Look at each name, where the drop-ins are installed.

    Returns:
        For all that is well one line, for each thing that is not one: whether it is well, what was
        found, and the remedy.
    """
    try:
        ours = metadata.distribution(_OURS)
    except metadata.PackageNotFoundError:
        return
    wrong = [*_installed_beside(), *_led_astray(ours)]
    if wrong:
        yield from wrong
    else:
        yield True, f"{_OURS} {ours.version} brings {', '.join(NAMES.values())}", ""


def _installed_beside() -> Iterator[tuple[bool, str, str]]:
    for name, module in NAMES.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found = (
            f"{name} {version} is installed beside {_OURS}: both bring {module}, and the one that "
            f"was installed last is imported"
        )
        # To uninstall one takes the files of both along, so ours must be brought back.
        yield False, found, f"pip uninstall {name} && {_BRING_BACK}"


def _led_astray(ours: metadata.Distribution) -> Iterator[tuple[bool, str, str]]:
    for module in NAMES.values():
        spec = find_spec(module)
        origin = None if spec is None else spec.origin
        if origin is None:
            yield (
                False,
                f"{module} cannot be imported, though {_OURS} is installed",
                _BRING_BACK,
            )
        elif not _is_ours(os.path.realpath(origin), module, ours):
            yield (
                False,
                f"{module} is imported from {origin}, which {_OURS} did not bring",
                "rename or remove that file, or take its directory out of PYTHONPATH",
            )


def _is_ours(origin: str, module: str, ours: metadata.Distribution) -> bool:
    installed = str(ours.locate_file(f"{module}/__init__.py"))
    return origin == os.path.realpath(installed) or _is_below_sources(origin, ours)


def _is_below_sources(origin: str, ours: metadata.Distribution) -> bool:
    """Whether it lies where an editable installation leads to."""
    try:
        said = json.loads(ours.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    path = unquote(str(said.get("url", "")).removeprefix("file://"))
    is_editable = said.get("dir_info", {}).get("editable") is True
    return is_editable and origin.startswith(os.path.join(os.path.realpath(path), ""))
