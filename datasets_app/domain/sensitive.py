"""Secrets and personal data in text: patterns of known key formats, and numbers that prove themselves by checksum."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from re import Pattern

SECRET = "secret"
PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Hit:
    group: str
    kind: str
    start: int
    end: int
    preview: str


def masked(text: str) -> str:
    """Enough to find the place again, not enough to use it."""
    head = 4 if len(text) >= 12 else 1
    return text[:head] + "…" + f"({len(text)} characters)"


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616: letters as numbers, first four characters last, remainder 1 by 97."""
    compact = text.replace(" ", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _phone(text: str) -> bool:
    return 9 <= sum(c.isdigit() for c in text) <= 15


def _real_password(text: str) -> bool:
    """`password: secret123!`, not `password: required` nor a placeholder."""
    value = re.split(r"[:=]", text, maxsplit=1)[1].strip(" \"'")
    placeholder = value.startswith(("<", "{", "$", "[", "*", "%", "x" * 3))
    return not placeholder and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _always(text: str) -> bool:
    return True


# Sixteen digits in fours, or American Express; neither the middle of an IBAN nor of a longer number.
_CARD = re.compile(
    r"(?<![A-Z]{2}\d\d )(?<![\d.-])(?<!\d )(?:[2-6]\d{3}(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![ -]?\d)"
)

# (group, kind, pattern, proof, marks of which one must be in the text for the pattern to be tried)
RULES: tuple[tuple[str, str, Pattern[str], Callable[[str], bool], tuple[str, ...]], ...] = (
    (SECRET, "aws_access_key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), _always, ("AKIA", "ASIA")),
    (SECRET, "private_key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"), _always, ("PRIVATE KEY",)),
    (
        SECRET,
        "github_token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{20,255})\b"),
        _always,
        ("gh", "github_pat_"),
    ),
    (SECRET, "gitlab_token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}"), _always, ("glpat-",)),
    (SECRET, "slack_token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,255}"), _always, ("xox",)),
    (SECRET, "stripe_key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}\b"), _always, ("k_live_", "k_test_")),
    (SECRET, "api_key", re.compile(r"\bsk-[A-Za-z0-9_-]{20,255}"), _always, ("sk-",)),
    (SECRET, "google_key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"), _always, ("AIza",)),
    (SECRET, "hub_token", re.compile(r"\bhf_[A-Za-z0-9]{30,64}\b"), _always, ("hf_",)),
    (
        SECRET,
        "jwt",
        re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        _always,
        ("eyJ",),
    ),
    (
        SECRET,
        "password",
        re.compile(
            r"(?i)\b(?:password|passwd|pwd|api[_-]?key|secret[_-]?key|access[_-]?token)\s?[:=]\s?[\"']?[^\s\"',;]{8,128}"
        ),
        _real_password,
        ("assw", "ASSW", "pwd", "PWD", "key", "KEY", "Key", "token", "TOKEN", "Token"),
    ),
    (
        PERSONAL,
        "email",
        re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b"),
        _always,
        ("@",),
    ),
    (PERSONAL, "iban", re.compile(r"\b[A-Z]{2}\d{2} ?(?:[A-Z0-9]{4} ?){2,7}[A-Z0-9]{1,4}\b"), _iban, ()),
    (PERSONAL, "card", _CARD, _luhn, ()),
    (PERSONAL, "phone", re.compile(r"(?<![\w+])\+\d[\d ().\-/]{7,20}\d\b"), _phone, ("+",)),
)

# One search that most texts do not pass, before each rule is asked by itself.
_DIGITS = re.compile(r"\d\d(?:\d\d| ?\d)")
_ANY_MARK = re.compile("|".join(sorted({re.escape(mark) for rule in RULES for mark in rule[4]})))


def find(text: str) -> Iterator[Hit]:
    """Every hit of every rule; addresses at example domains are made up and are left alone."""
    digits = _DIGITS.search(text) is not None
    if not digits and not _ANY_MARK.search(text):
        return
    for group, kind, pattern, proof, marks in RULES:
        if not (any(mark in text for mark in marks) if marks else digits):
            continue
        for match in pattern.finditer(text):
            found = match.group()
            if proof(found) and not _invented(kind, found):
                yield Hit(group, kind, match.start(), match.end(), masked(found))


def mask(text: str, group: str = SECRET) -> str:
    """The text with every hit of the group replaced by its kind in brackets."""
    for hit in sorted((h for h in find(text) if h.group == group), key=lambda h: -h.start):
        text = text[: hit.start] + f"[{hit.kind}]" + text[hit.end :]
    return text


def _invented(kind: str, found: str) -> bool:
    """RFC 2606 keeps these domains for examples."""
    if kind != "email":
        return False
    domain = found.rsplit("@", 1)[1].lower()
    return domain.endswith((".example", ".invalid", ".test")) or domain in ("example.com", "example.org", "example.net")
