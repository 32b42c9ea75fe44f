"""How many files this process may have open: each connection is one.

For processes that serve or send to many; it keeps no promise, and where the system refuses, what
there is must do.
"""

from __future__ import annotations

__all__ = ["allow_many"]


def allow_many() -> None:
    """Raise the limit of open files as far as it goes without rights."""
    try:
        import resource
    except ImportError:  # Windows has neither the module nor such a limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return  # macOS says "unlimited" and takes less
