"""Commands of several actions, such as `tidings keys create|list|revoke`: which one is meant.

The action is the first word. What it does is the command's own.
"""

from __future__ import annotations

from tidings.cli.command import WrongUsage, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tidings.cli.command import Given, Option

__all__ = ["action_of", "ensure_options_fit"]


def action_of(given: Given, actions: Collection[str]) -> str:
    """The action that was asked for.

    Raises:
        WrongUsage: there is no such action.
    """
    action = given.words[0]
    if action not in actions:
        known = ", ".join(actions)
        raise WrongUsage(f"there is no {action}, only {known}{nearest(action, actions)}")
    return action


def ensure_options_fit(
    given: Given, action: str, options: Iterable[Option], takes: Collection[str]
) -> None:
    """Refuse an option that another action of the command takes.

    Args:
        given: what was given.
        action: the action that was asked for.
        options: the command's options.
        takes: the keys of those that the action takes.

    Raises:
        WrongUsage: one was given that the action does not take.
    """
    for option in options:
        if option.key not in takes and given[option.key] != option.absent:
            raise WrongUsage(f"{option.names[-1]} is not for {action}")
