"""What is told of a dead letter: an event of our own, kept together with the letter.

So who waits for events hears that one was given up, whoever gave it up: a handler's reader or a
webhook's. Which letters there are, and what becomes of them, is `dead_letters`' matter.
"""

from __future__ import annotations

from tidings.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.subscriptions.dead_letters import DeadLetter

__all__ = ["DEAD_LETTER", "dead_letter_event"]

DEAD_LETTER = "tidings.dead_letter"
"""An event was given up."""


def dead_letter_event(event: Event, letter: DeadLetter) -> Event | None:
    """What is told of a letter; about the subscription, as the event's aggregate is the user's.

    Args:
        event: that was given up.
        letter: made of it.

    Returns:
        The same each time it is told. None where the event tells of a letter of this subscription,
        or of one about a letter: else whoever is told of letters and fails would have ever new ones
        to be told of.
    """
    if event.type == DEAD_LETTER and (
        event.aggregate_id == letter.subscription or event.payload.get("type") == DEAD_LETTER
    ):
        return None
    last = letter.attempts[-1]
    return Event(
        DEAD_LETTER,
        event.project,
        "failure",
        {
            "subscription": letter.subscription,
            "position": letter.position,
            "event_id": letter.event_id,
            "type": letter.type,
            "attempts": len(letter.attempts),
            "error": last.error,
            "held": letter.held,
        },
        "tidings",
        id=f"{DEAD_LETTER}/{letter.subscription}/{letter.position}/{last.at}",
        correlation_id=event.correlation_id,
        causation_id=event.id,
        aggregate_type="subscription",
        aggregate_id=letter.subscription,
    )
