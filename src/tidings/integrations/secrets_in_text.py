r"""Finding secrets in texts: by their shape, and by the names that stand before them.

For the texts of agents and their tools: commands, headers, URLs, settings, JSON within JSON. Keeps:
no text takes time by the square of its length, as every repetition that can begin anywhere is
bounded. Where in doubt it hides too much. A secret that has neither shape nor name it cannot know.
"""

from __future__ import annotations

import re

__all__ = ["REDACTED", "is_flag_of_secret", "is_name_of_secret", "without_secrets"]

REDACTED = "[redacted]"

# No text without one of these has anything that the patterns below find. To compile them costs a
# hook as much as half of all its other work.
_MARKS = (
    *("key", "token", "secret", "pass", "credential", "authorization", "cookie", "bearer", "basic"),
    *("://", "private", "-u", "--user", "mysql", "mariadb", "mongo", "login", "redis-cli", "sudo"),
    *("sk-", "k_live_", "k_test_", "sig=", "signature=", "pwd=", " -b", "ghp_", "gho_", "ghu_"),
    *("ghs_", "ghr_", "github_pat_", "glpat-", "glptt-", "gldt-", "glrt-", "xox", "akia", "asia"),
    *("aiza", "ya29.", "eyj", "npm_", "pypi-", "hf_", "whsec_", "tid_", "sg.", "dop_v1_"),
    "hooks.slack",
)

# How many tokens there are is no secret: max_tokens=4096.
_UNCOUNTED = r"""token(?!s\w{0,20}\\{0,8}["']?[\s=:]{1,9}\d{1,12}\b(?![.-]?\w))"""
_NAMES = (
    rf"(?:passw(?:or)?d|passphrase|secret|{_UNCOUNTED}|credential"
    r"|(?:api|access|private|account)[_-]?key|(?<![a-z])pass(?![a-z]))"
)
_QUOTED = r"""\$?(?:"(?:[^"\\]|\\.)*"?|'[^']*'?)"""
# What is in quotes within JSON that is itself in quotes.
_ESCAPED = r"""\\{1,8}["'][^"']*["']?"""
# A shell puts what stands together into one word: ab'cd'"ef"\ gh.
_WORD = rf"""(?:\\.|[^\s"'&;|,\\]|,(?![\s"'])|(?={_QUOTED}[\s&;|]|["'][\w$]){_QUOTED})"""
_LISTED = r"\[[^\]]*\]?|\{[^}]*\}?"
_BLOCK = r"[|>][-+]?[ \t]*\r?\n(?:[ \t]+[^\n]*\n?)*"
_VALUE = rf"(?:{_LISTED}|{_BLOCK}|{_ESCAPED}|{_QUOTED}(?=[\w$\\\"']){_WORD}*|{_QUOTED}|{_WORD}+)"
_IS = r"\\{0,8}[\"']?\s{0,40}(?:=>|:=|[!=]==?|[=:])\s{0,40}"
_FLAG = rf"(?<![\w-])--?[\w-]{{0,40}}(?:{_NAMES}|pass|cookie)[\w-]{{0,40}}"
# Options of a command before the one that is meant.
_OPTIONS = r"\s(?:[^|;&\n]{0,200}\s)?"
_PATTERNS = (
    # The name or what else stands before a secret is group 1, and stays.
    r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)(?:(?!-----END)[\s\S])*",
    rf"((?:authorization|cookie){_IS}\\{{0,8}}[\"']?)[^\r\n\"']+",
    r"(\b(?:bearer|basic)(?:\s|%20|[:=]){1,9})[\w.~+/=-]{6,}",
    r"(://)[^\s\"'<>]{1,500}(?=@)",
    rf"(<[\w:.-]{{0,40}}{_NAMES}[\w:.-]{{0,40}}>)[^<]+",
    (
        rf"((?:{_NAMES}[\w-]{{0,100}}{_IS}|{_FLAG}\s{{1,9}}"
        rf"|\b\w{{0,40}}_(?:key|secret|token|password)(?:\s{{1,9}}|{_IS})"
        rf"|\b(?:set|setx|setenv)\s{{1,9}}(?:-\w{{1,9}}\s{{1,9}})?{_NAMES}\w{{0,40}}\s{{1,9}}"
        r"|\b(?:password|passphrase)\s{1,9}is\s{1,9}"
        rf"|\blogin\s{{1,9}}\S{{1,99}}\s{{1,9}}password\s{{1,9}})){_VALUE}"
    ),
    (
        rf"(\b(?:(?:sshpass|mongo(?:sh)?|(?:docker|podman)\s{{1,9}}login){_OPTIONS}-p\s{{0,9}}"
        rf"|redis-cli{_OPTIONS}-a\s{{1,9}}|curl{_OPTIONS}-b\s{{0,9}})){_VALUE}"
    ),
    rf"(\b(?:mysql|mariadb)\S{{0,20}}{_OPTIONS}-p)[^\s-]\S*",
    r"((?:^|\s)(?:-u|--user)[\s=]{0,9}[\"']?[^\s:\"']{0,99}:)[^\s\"']+",
    rf"(\becho\s{{1,9}}(?:-n\s{{1,9}})?){_VALUE}(?=\s{{0,9}}\|[^|\n]{{0,200}}(?:passw|sudo\s+-S))",
    r"([?&;]\s{0,9}(?:sig|signature|x-amz-signature|pwd)=)[^\s&;\"']+",
    (
        r"()\b(?:sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{8,}|gh[pousr]_\w{16,}|github_pat_\w{16,}"
        r"|gl(?:pat|ptt|dt|rt)-[\w-]{16,}|xox[a-z]-[\w-]{8,}|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{30,}"
        r"|ya29\.[\w-]{16,}|SG\.[\w-]{8,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"
        r"|npm_\w{30,}|pypi-[\w-]{30,}|hf_\w{20,}|dop_v1_\w{16,}|AGE-SECRET-KEY-1\w{8,}"
        r"|whsec_[\w+/=]{16,}|tid_\w{16,})"
    ),
    r"(\bhooks\.slack\.com/services/)[\w/]+",
)

_NUMBER = re.compile(r"passw|passphrase|secret|passcode", re.IGNORECASE)
_NAME = re.compile(rf"{_NAMES}|authorization|cookie", re.IGNORECASE)
_A_FLAG = re.compile(_FLAG, re.IGNORECASE)


def without_secrets(text: str) -> str:
    r"""The text with `[redacted]` in the place of what looks like a secret.

    >>> without_secrets('psql postgres://ann:pw@db && curl -d "{\\"token\\": \\"abc def\\"}"')
    'psql postgres://[redacted]@db && curl -d "{\\"token\\": [redacted]}"'
    """
    if any(map(text.lower().__contains__, _MARKS)):
        for pattern in _compiled():
            text = pattern.sub(rf"\1{REDACTED}", text)
    return text


def is_name_of_secret(name: str, value: object = "") -> bool:
    """Whether what goes by such a name is a secret; numbers of tokens and keys are none.

    >>> is_name_of_secret("http.request.header.cookie"), is_name_of_secret("keyboard")
    (True, False)
    >>> is_name_of_secret("input_tokens", 12), is_name_of_secret("password", 1234)
    (False, True)
    """
    is_number = isinstance(value, int | float)
    return (_NUMBER if is_number else _NAME).search(name) is not None


def is_flag_of_secret(word: object) -> bool:
    """Whether a word of a command line says that the next one is a secret.

    >>> is_flag_of_secret("--token"), is_flag_of_secret("--token=abc"), is_flag_of_secret("-p")
    (True, False, False)
    """
    return isinstance(word, str) and _A_FLAG.fullmatch(word) is not None


_patterns: list[re.Pattern[str]] = []


def _compiled() -> list[re.Pattern[str]]:
    """The patterns, compiled when the first text may hold a secret."""
    if not _patterns:
        _patterns.extend(re.compile(each, re.IGNORECASE) for each in _PATTERNS)
    return _patterns
