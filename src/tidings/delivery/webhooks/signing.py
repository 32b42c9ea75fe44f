"""How a webhook message is signed: Standard Webhooks 1.0, symmetric (`v1`).

Keeps the receiver's half of promise 6: it can tell our messages from anybody else's, and an old one
from a new one. It signs; what a message says is `message`'s, and secrets are kept by `endpoints`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from secrets import token_bytes

from tidings.errors import InvalidSetting
from tidings.ids import id_of_key
from tidings.record import KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.delivery.webhooks.endpoint import Secret
    from tidings.event import Event

__all__ = ["checked_secret", "in_force", "message_id", "new_secret", "signatures"]

_PREFIX = "whsec_"
_BYTES = 32
_LEAST_BYTES, _MOST_BYTES = 24, 64
_MICROSECONDS = 1_000_000


def new_secret() -> str:
    """A secret to sign with: 256 random bits, as Standard Webhooks writes them.

    >>> checked_secret(new_secret())[:6]
    'whsec_'
    """
    return _PREFIX + b64encode(token_bytes(_BYTES)).decode()


def checked_secret(text: str) -> str:
    """A secret that a user brings, if it is one.

    Raises:
        InvalidSetting: it is not `whsec_` and the base64 of 24 to 64 bytes; the error does not show
            it. Source: Standard Webhooks specification, "Signature scheme".
    """
    try:
        size = len(b64decode(text.removeprefix(_PREFIX), validate=True))
    except ValueError:
        size = 0
    if not text.startswith(_PREFIX) or not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise InvalidSetting(
            f"a webhook's secret must be {_PREFIX} and the base64 (RFC 4648, section 4) of "
            f"{_LEAST_BYTES} to {_MOST_BYTES} random bytes; leave it out to have one made"
        )
    return text


def message_id(event: Event) -> str:
    """The `webhook-id` of messages about an event: the same for each attempt, no other event's.

    It is the event's id where that is a UUID. Other ids are unique for their source only and may
    hold what neither a header nor a signature may, so that a UUID stands for source and id.

    >>> from tidings.event import Event
    >>> message_id(Event("job_done", id="00000000-0000-7000-8000-000000000001"))
    '00000000-0000-7000-8000-000000000001'
    >>> ci, hpc = (Event("job_done", id="build.42", source=source) for source in ("ci", "hpc"))
    >>> message_id(ci) == message_id(hpc)
    False
    """
    return id_of_key(event.record[KEY])


def in_force(secrets: Iterable[Secret], now: int) -> list[Secret]:
    """Those that sign at an instant (microseconds): the newest, and a rotated one until its end."""
    return [secret for secret in secrets if secret.until is None or now < secret.until]


def signatures(secrets: Iterable[Secret], id: str, now: int, body: str) -> str:
    """What `webhook-signature` says: a signature by each secret in force, separated by spaces.

    Args:
        secrets: those of the endpoint.
        id: the `webhook-id`.
        now: the instant of the attempt (microseconds); its whole second is signed.
        body: what is sent, as text.
    """
    from datetime import UTC, datetime

    from standardwebhooks import Webhook

    # In UTC, as the library takes the figures of any other zone for UTC's and signs another time.
    second = datetime.fromtimestamp(now // _MICROSECONDS, UTC)
    return " ".join(
        Webhook(secret.text).sign(id, second, body) for secret in in_force(secrets, now)
    )
