"""Whether secrets are found by their shape and by the names before them, and other words left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidSetting
from tidings.integrations.discretion import REDACTED, Discretion

HIDDEN = {
    "AssertionError: assert token == 's3cret'": "s3cret",
    "assert password != 's3cret words'": "words",
    "tokens: 17-s3cret": "s3cret",
    "curl -H 'Authorization: Bearer s3cret-words' https://example.org": "s3cret-words",
    "curl -H 'Authorization: ApiKey s3cret words' x": "s3cret words",
    "curl -u ann:s3cret https://example.org": "s3cret",
    "curl --user=ann:s3cret x": "s3cret",
    "git push https://ann:s3cret@example.org/fig.git": "s3cret",
    "git clone https://s3crettoken@example.org/fig.git": "s3crettoken",
    "export AWS_SECRET_ACCESS_KEY=s3cret/with+signs": "s3cret/with+signs",
    "PGPASSWORD='s3cret words' psql": "s3cret words",
    "aws configure set aws_secret_access_key s3cret": "s3cret",
    "deploy --token s3cret --verbose": "s3cret",
    "deploy --api-key=s3cret": "s3cret",
    "mysql -uroot -ps3cret figs": "s3cret",
    "sshpass --password 's3cret words' ssh host": "s3cret words",
    '{"password": "s3cret \\" words"}': "words",
    '{"client_secret":"s3cret"}': "s3cret",
    "Cookie: session=s3cret; theme=dark": "s3cret",
    "echo sk-ant-api03-0123456789abcdefghij": "sk-ant",
    "echo ghp_0123456789abcdefghij": "ghp_",
    "echo AKIAIOSFODNN7EXAMPLE": "AKIA",
    "echo xoxb-0123456789-abcdef": "xoxb",
    "echo eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdef": "eyJzdWIi",
    "echo tid_0123456789abcdefghij": "tid_",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n": "b3Blbn",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF": "lQOYBF",
    'curl -d "{\\"password\\": \\"s3cret words\\"}" x': "words",
    '{"tokens": ["s3cret", "words"]}': "words",
    '{"secret": {"value": "s3cret"}}': "s3cret",
    "<password>s3cret</password>": "s3cret",
    "{'token' => 's3cret'}": "s3cret",
    "password: |\n  s3cret\nhost: db": "s3cret",
    "PASSWORD=ab's3cret words' psql": "words",
    "PASSWORD=$'s3cret words' psql": "words",
    "PASSWORD=ab\\ s3cret psql": "s3cret",
    "PASSWORD=ab,s3cret psql": "s3cret",
    'export TOKEN=\\"s3cret\\"': "s3cret",
    "DB_PASS=s3cret psql": "s3cret",
    "SIGNING_KEY=s3cret make": "s3cret",
    "setenv TOKEN s3cret": "s3cret",
    "psql postgres://ann:p@s3cret@db/figs": "s3cret",
    "curl -uann:s3cret x": "s3cret",
    "curl -s -b session=s3cret x": "s3cret",
    "curl 'https://example.org/f?a=1&sig=s3cret'": "s3cret",
    "sshpass -ps3cret ssh host": "s3cret",
    "docker login -u ann -p s3cret": "s3cret",
    "echo s3cret | docker login --password-stdin": "s3cret",
    "echo s3cret | sudo -S ls": "s3cret",
    "redis-cli -h db -a s3cret": "s3cret",
    "machine example.org login ann password s3cret": "s3cret",
    "the password is s3cret": "s3cret",
    "echo sk_live_0123456789abcdef": "sk_live",
    "echo glptt-0123456789abcdef0123": "glptt",
    "curl https://hooks.slack.com/services/T0/B0/s3cret": "s3cret",
}
PLAIN = (
    "max_tokens=4096, processed 17 tokens: 12 kept",
    '{"input_tokens": 12, "tokens_used":3}',
    "pytest -q --durations=5",
    "mkdir -p /home/ada/fig && cd /home/ada/fig",
    "git commit -m 'Rename the tokenizer'",
    "docker run --user 1000 -u 1000 image",
    "grep -rn 'api_key' src",
    "curl https://example.org/tokens?page=2",
    "ls ~/.ssh && echo passed",
    "echo done | tee log",
    "pytest --passes=3 -x tests && cd -P .",
    "sort -u names | head",
    "python -c 'print(1, 2)' && pwd",
)


@pytest.mark.parametrize("text", HIDDEN)
def test_secrets_are_cut_out(text: str) -> None:
    """And it can be seen that something was."""
    kept = Discretion().text(text)
    assert HIDDEN[text] not in kept
    assert REDACTED in kept


@pytest.mark.parametrize("text", PLAIN)
def test_other_words_are_left(text: str) -> None:
    """A command that holds no secret is kept as it is."""
    assert Discretion().text(text) == text


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 60))
def test_no_cut_shows_the_beginning_of_a_secret(before: str, after: str, limit: int) -> None:
    """What is too long is cut after secrets were taken out, not before."""
    tail = "0123456789abcdefghij"
    kept = Discretion(limit=limit).text(f"{before} --token ghp_{tail} {after}")
    assert tail[:4] not in kept.replace(before, "").replace(after, "")
    assert len(kept) <= limit + 1


def test_names_of_members_count() -> None:
    """In what a tool is given, a member called `password` is one, however deep."""
    given = {"db": [{"password": "s3cret", "host": "db"}], "headers": {"Authorization": "s3cret"}}
    assert Discretion().value(given) == {
        "db": [{"password": REDACTED, "host": "db"}],
        "headers": {"Authorization": REDACTED},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"http.request.header.cookie": ["sid=s3cret"]},
        {"secret": {"value": "s3cret"}},
        {"env": [{"name": "DB_PASSWORD", "value": "s3cret"}]},
        {"args": ["deploy", "--token", "s3cret", "-v"]},
        {"x" * 90 + " https://ann:s3cret@example.org": 1},
    ],
)
def test_secrets_hide_in_lists_and_objects(given: dict[str, object]) -> None:
    """What goes by the name of a secret is hidden with all that is in it."""
    assert "s3c" not in str(Discretion().value(given))


def test_numbers_are_no_secrets() -> None:
    """How many tokens a model took is told."""
    usage = {"input_tokens": 12, "tokens": [1, 2], "token_usage": {"in": 3}}
    assert Discretion().value(usage) == usage


def test_what_is_not_looked_at_to_its_end_shows_no_half_secret() -> None:
    """A long key before it makes room, and what ends a secret may lie beyond what is looked at."""
    key = f"-----BEGIN PRIVATE KEY-----{'k' * 9100}-----END PRIVATE KEY-----"
    for length in range(9200 - len(key), 9300 - len(key)):
        kept = Discretion().text(f"{key}{' ' * max(0, length - 30)}https://ann:s3cret@example.org")
        assert "s3c" not in kept


def test_what_is_large_is_cut_down() -> None:
    """No event grows with what an agent reads."""
    deep: list[object] = []
    for _ in range(50):
        deep = [deep, *("x" * 9999,) * 60]
    wide = {str(n): ["x" * 9999] * 60 for n in range(60)}
    assert len(str(Discretion(limit=10).value(deep))) < 50 * 20 * 7
    assert 90_000 < len(str(Discretion(limit=9999).value([wide] * 60))) < 200_000


def test_own_patterns_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the setting, one a line, and those given beside; one that is none is refused."""
    monkeypatch.setenv("TIDINGS_AGENT_REDACT", "ACME-[0-9]+\n\nproject x")
    careful = Discretion.of_settings(redact=["n[0-9]+"])
    assert careful.text("ACME-17 of project x on n12") == f"{REDACTED} of {REDACTED} on {REDACTED}"
    monkeypatch.setenv("TIDINGS_AGENT_REDACT", "(")
    with pytest.raises(InvalidSetting, match="no regular expression"):
        Discretion.of_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDINGS_AGENT_CONTENT", "everything"),
        ("TIDINGS_AGENT_TEXT_LIMIT", "-1"),
        ("TIDINGS_AGENT_TEXT_LIMIT", "1000000"),
    ],
)
def test_settings_nobody_knows_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A wish that was misunderstood would keep what was not to be kept."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=name):
        Discretion.of_settings()
