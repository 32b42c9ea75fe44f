"""`python -m tidings`: the same as the command `tidings`."""

from __future__ import annotations

import sys

from tidings.cli import main

if __name__ == "__main__":
    sys.exit(main())
