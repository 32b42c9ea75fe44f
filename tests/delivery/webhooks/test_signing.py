"""Secrets and ids of webhook messages."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tidings.delivery.webhooks.endpoint import Secret
from tidings.delivery.webhooks.signing import (
    checked_secret,
    in_force,
    message_id,
    new_secret,
    signatures,
)
from tidings.errors import InvalidSetting
from tidings.event import Event

UUID = "01890000-0000-7000-8000-000000000001"


def secret_of(size: int) -> str:
    """A secret of so many bytes."""
    return f"whsec_{b64encode(bytes(size)).decode()}"


def test_new_secrets_are_good_and_never_the_same() -> None:
    """What we make is what we would take, and is made anew each time."""
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {checked_secret(secret) for secret in made} == made


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_ones_own_are_taken(size: int) -> None:
    """A secret of the size that the standard wants is kept as it is."""
    assert checked_secret(secret_of(size)) == secret_of(size)


@pytest.mark.parametrize(
    "text",
    [
        *("", "whsec_", secret_of(23), secret_of(65), secret_of(32).removeprefix("whsec_")),
        *(secret_of(32) + "!", secret_of(32) + "\n", "whsec_" + "ä" * 40, "whsk_" + "A" * 44),
        *(secret_of(32).removesuffix("="), "whsec_" + "-_" * 22),
    ],
)
def test_other_secrets_are_refused_unseen(text: str) -> None:
    """What is no secret is refused without being shown."""
    with pytest.raises(InvalidSetting, match="must be whsec_ and the base64") as refused:
        checked_secret(text)
    assert len(text) < 10 or text not in str(refused.value)


def test_a_message_is_known_by_the_event() -> None:
    """A UUID is the message's id as it is; other ids become one, another for each source."""
    assert message_id(Event("job_done", id=UUID)) == UUID
    event = Event("job_done")
    assert message_id(event) == event.id
    foreign = [Event("job_done", id="build.42", source=source) for source in ("ci", "ci", "hpc")]
    first, again, other = map(message_id, foreign)
    assert first == again != other


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=255))
def test_every_id_can_be_sent(id: str) -> None:
    """Whatever an event's id is, the message's holds no dot and nothing that a header may not."""
    assert re.fullmatch("[0-9a-f-]{36}", message_id(Event("job_done", id=id)))


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(min_value=0, max_value=4_000_000_000_000_000),
)
def test_the_second_of_the_attempt_is_signed(body: str, now: int) -> None:
    """The signature is of id, second and body, in whichever zone this machine is."""
    secret = new_secret()
    second = datetime.fromtimestamp(now // 1_000_000, UTC)
    signed = signatures([Secret(secret)], UUID, now, body)
    assert signed == Webhook(secret).sign(UUID, second, body)


def test_a_rotated_secret_signs_to_its_end() -> None:
    """The newest secret comes first; a rotated one signs until, and not at, the moment given."""
    secrets = (Secret(new_secret()), Secret(new_secret(), until=1_000_000))
    assert in_force(secrets, 999_999) == list(secrets)
    assert in_force(secrets, 1_000_000) == [secrets[0]]
    assert signatures(secrets, UUID, 0, "{}").count("v1,") == 2
