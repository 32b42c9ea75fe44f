"""The command `eventuali-mcp-server`: tells a missing extra in one line, and else runs `main`."""

from __future__ import annotations

import sys

from tidings.errors import MissingExtra


def main() -> None:
    """The command `eventuali-mcp-server`; it serves until whoever started it ends it.

    Raises:
        SystemExit: it could not serve (1), or was told to end (0).
    """
    try:
        from eventuali_mcp_server.main import main as serve
    except ImportError as error:
        extra = "eventuali-mcp-server"
        missing = MissingExtra(extra, extra, "tidings-dropins")
        sys.stderr.write(f"{extra}: {missing} ({error})\n")
        sys.exit(1)
    serve()
