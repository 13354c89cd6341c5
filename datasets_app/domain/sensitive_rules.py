"""What counts as a secret or as personal data: patterns, their proofs, and what a text must hold to be looked at.

`engine/native/scan.c` looks for the triggers at the speed of memory; a property test holds that whatever a rule finds
has set its trigger. Patterns are ASCII: a key in the middle of Chinese text is a key.
"""

import re
from collections.abc import Callable
from enum import IntFlag
from re import Match, Pattern
from typing import NamedTuple

from datasets_app.domain import sensitive_checks as checks

SECRET = "secret"
PERSONAL = "personal"
ADDRESS = "address"  # of machines: worth knowing, seldom worth stopping for


class Trigger(IntFlag):
    """What the kernel can see; the bits are shared with scan.c."""

    KEY = 1  # a long token with the beginning of a known kind of key
    PRIVATE_KEY = 2
    PASSWORD = 4
    URL_PASSWORD = 8
    EMAIL = 16
    IBAN = 32
    CARD = 64
    LETTERED = 128  # digits with letters around them: DNI, NIE, codice fiscale, NINO
    LONG_NUMBER = 256  # 11, 15, 17 or 18 digits: tax id, PESEL, NIR, Chinese id
    GROUPED = 512  # groups of two or three digits with marks between them: SSN, SNILS, CPF, AHV, NRN
    PHONE = 1024
    IP = 2048
    ENTROPY = 4096


class Rule(NamedTuple):
    group: str
    kind: str
    trigger: Trigger
    pattern: Pattern[str]
    proof: Callable[[str], bool]
    setting: Callable[[Match[str]], bool] = lambda match: True  # what must or must not stand around it
    marks: tuple[str, ...] = ()  # of which one must be in the text for the pattern to be tried


def _ascii(pattern: str) -> Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _always(text: str) -> bool:
    return True


def _before(match: Match[str], length: int) -> str:
    return match.string[max(0, match.start() - length) : match.start()]


def _named_pesel(match: Match[str]) -> bool:
    """One in fifty numbers of eleven digits would pass the check; the word settles it."""
    return "pesel" in _before(match, 40).lower()


_VERSION = _ascii(r"(?i)\b(?:v|version|release|build|firmware|ver|isbn)[ :=.-]*$")
_LINK = _ascii(r"(?:://|www\.)[^\s\"'<>]*$")
_LINK_SECRET = _ascii(r"(?i)(?:token|key|secret|sig|signature|auth|password)=$")


def _no_version(match: Match[str]) -> bool:
    return not _VERSION.search(_before(match, 16))


def _no_link(match: Match[str]) -> bool:
    before = _before(match, 300)
    if before.endswith(("base64,", "sha256:", "sha512:", "sha1:", "#")):
        return False
    return not _LINK.search(before) or _LINK_SECRET.search(before) is not None


# Files, not addresses: logo@2x.png.
_FILE_ENDINGS = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "json", "html", "md", "py"))


def _real_email(found: str) -> bool:
    """RFC 2606 keeps some domains for examples; git@ is how repositories are named."""
    local, _, domain = found.lower().rpartition("@")
    invented = domain.endswith((".example", ".invalid", ".test", ".local", ".localhost"))
    invented = invented or re.fullmatch(r"(?:.*\.)?example\.(?:com|org|net)", domain) is not None
    return not invented and local != "git" and domain.rpartition(".")[2] not in _FILE_ENDINGS


# Sixteen digits in fours, or American Express; neither the middle of an IBAN nor of a longer number.
_CARD = (
    r"(?<![A-Z]{2}\d\d )(?<![\d.-])(?<!\d )(?:[2-6]\d{3}(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![ -]?\d)"
)
_WORD = r"password|passwd|passwort|passphrase|pwd|api[_-]?key|secret[_-]?key|access[_-]?key|client[_-]?secret"
_PASSWORD = rf"(?i)(?<![A-Za-z0-9])(?:[a-z0-9]+[_-]){{0,3}}(?:{_WORD}|(?:access|auth|refresh)[_-]?token)[\"']?"
_PASSWORD += r"[ \t]?[:=][ \t]?[\"'`]?[^\s\"'`,;]{8,128}"
_CALL = r"(?i)\b(?:tel|tel\.|telefon|telephone|telefono|phone|mobile|mobil|handy|fax|whatsapp)"

_KEYS: tuple[tuple[str, str, str], ...] = (
    ("aws_access_key", "AKIA ASIA", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{30,255}\b"),
    ("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{20,255}\b"),
    ("gitlab_token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
    ("slack_token", "xox", r"\bxox[abeposr]-[A-Za-z0-9-]{10,255}"),
    ("stripe_key", "k_live_ k_test_", r"\b(?:[sr]k|pk)_(?:live|test)_[A-Za-z0-9]{16,255}\b"),
    ("api_key", "sk-", r"\bsk-[A-Za-z0-9_-]{20,255}"),
    ("google_key", "AIza", r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("hub_token", "hf_", r"\bhf_[A-Za-z0-9]{30,64}\b"),
    ("npm_token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("package_token", "pypi-", r"\bpypi-[A-Za-z0-9_-]{50,255}"),
    ("shop_token", "shpat_ shpca_ shppa_ shpss_", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    ("cloud_token", "_v1_", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("jwt", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
)

# In the order in which they win where two rules find the same place.
RULES: tuple[Rule, ...] = (
    Rule(
        SECRET,
        "private_key",
        Trigger.PRIVATE_KEY,
        _ascii(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[A-Za-z0-9+/=\s:,.-]{0,12000}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        _always,
    ),
    *(
        Rule(SECRET, kind, Trigger.KEY, _ascii(pattern), _always, marks=tuple(marks.split()))
        for kind, marks, pattern in _KEYS
    ),
    Rule(
        SECRET,
        "url_password",
        Trigger.URL_PASSWORD,
        _ascii(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>]{1,64}:[^\s:/@\"'<>{}$*]{3,64}@(?=[\w.-])"),
        lambda text: not text.lower().endswith((":password@", ":pass@", ":pw@", ":secret@")),
    ),
    Rule(SECRET, "password", Trigger.PASSWORD, _ascii(_PASSWORD), checks.real_password),
    Rule(
        PERSONAL,
        "email",
        Trigger.EMAIL,
        _ascii(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b"),
        _real_email,
    ),
    *(
        Rule(
            PERSONAL,
            "iban",
            Trigger.IBAN,
            _ascii(
                rf"\b(?:{'|'.join(c for c, n in checks.IBAN_LENGTHS.items() if n == length)})\d\d"
                rf"(?: ?[A-Z0-9]){{{length - 4}}}(?![A-Za-z0-9])"
            ),
            checks.iban,
        )
        for length in sorted(set(checks.IBAN_LENGTHS.values()))
    ),
    Rule(PERSONAL, "card", Trigger.CARD, _ascii(_CARD), checks.luhn),
    Rule(
        PERSONAL,
        "fr_nir",
        Trigger.LONG_NUMBER,
        _ascii(r"(?<![\w.-])[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?![\w]|[.-]\d)"),
        checks.fr_nir,
    ),
    Rule(PERSONAL, "cn_id", Trigger.LONG_NUMBER, _ascii(r"(?<![\w.-])[1-9]\d{16}[\dXx](?!\w)"), checks.cn_id),
    Rule(
        PERSONAL,
        "pl_pesel",
        Trigger.LONG_NUMBER,
        _ascii(r"(?<![\w.-])\d{11}(?![\w]|[.-]\d)"),
        checks.pl_pesel,
        _named_pesel,
    ),
    Rule(
        PERSONAL,
        "de_tax_id",
        Trigger.LONG_NUMBER,
        _ascii(r"(?<![\w.+-])(?<!\d )(?:[1-9]\d{10}|[1-9]\d \d{3} \d{3} \d{3})(?![\w]|[.-]\d| \d)"),
        checks.de_tax_id,
    ),
    Rule(
        PERSONAL, "es_dni", Trigger.LETTERED, _ascii(r"(?<![\w.-])(?:\d{8}|[XYZ]-?\d{7})-?[A-Z](?!\w)"), checks.es_dni
    ),
    Rule(
        PERSONAL,
        "it_cf",
        Trigger.LETTERED,
        _ascii(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)"),
        checks.it_cf,
    ),
    Rule(
        PERSONAL,
        "gb_nino",
        Trigger.LETTERED,
        _ascii(r"(?<![\w-])[A-Z]{2} ?(?:\d{6}|\d\d \d\d \d\d) ?[A-D](?![\w-])"),
        checks.gb_nino,
    ),
    Rule(PERSONAL, "us_ssn", Trigger.GROUPED, _ascii(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w]|[.-]\d)"), checks.us_ssn),
    Rule(
        PERSONAL, "ru_snils", Trigger.GROUPED, _ascii(r"(?<![\w.-])\d{3}-\d{3}-\d{3}[ -]\d\d(?![\w-])"), checks.ru_snils
    ),
    Rule(PERSONAL, "br_cpf", Trigger.GROUPED, _ascii(r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d\d(?![\w-])"), checks.br_cpf),
    Rule(PERSONAL, "ch_ahv", Trigger.GROUPED, _ascii(r"(?<![\w.-])756\.\d{4}\.\d{4}\.\d\d(?![\w-])"), checks.ch_ahv),
    Rule(
        PERSONAL,
        "be_nrn",
        Trigger.GROUPED,
        _ascii(r"(?<![\w.-])\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d(?![\w-])"),
        checks.be_nrn,
    ),
    Rule(PERSONAL, "phone", Trigger.PHONE, _ascii(r"(?<![\w+])\+\d[\d ().\-/]{7,20}\d\b"), checks.phone),
    Rule(
        PERSONAL,
        "phone",
        Trigger.PHONE,
        _ascii(r"(?<![\w+/.-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}(?![\w]|[.-]\d)"),
        checks.national_phone,
    ),
    Rule(
        PERSONAL,
        "phone",
        Trigger.PHONE,
        _ascii(rf"{_CALL}[ :.#]{{1,3}}(?:\(0\d{{1,4}}\)|\d)[\d ()/.-]{{4,18}}\d(?!\w)"),
        checks.national_phone,
    ),
    Rule(
        ADDRESS,
        "ip_address",
        Trigger.IP,
        _ascii(r"(?<![\w.-])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|[.-]\d)"),
        checks.public_ip,
        _no_version,
    ),
    Rule(
        SECRET,
        "random_token",
        Trigger.ENTROPY,
        _ascii(r"(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{20,}"),
        checks.looks_random,
        _no_link,
    ),
)
KINDS: dict[str, str] = {rule.kind: rule.group for rule in RULES}
KIND_NAMES = {
    "aws_access_key": "AWS access key", "api_key": "API key", "jwt": "JSON web token", "iban": "IBAN",
    "email": "e-mail",
    "fr_nir": "French NIR", "cn_id": "Chinese identity number", "pl_pesel": "Polish PESEL",
    "de_tax_id": "German tax id", "es_dni": "Spanish DNI or NIE", "it_cf": "Italian codice fiscale",
    "gb_nino": "British NI number", "us_ssn": "US social security number", "ru_snils": "Russian SNILS",
    "br_cpf": "Brazilian CPF", "ch_ahv": "Swiss AHV number", "be_nrn": "Belgian national number", "card": "card number",
    "ip_address": "IP address", "hub_token": "model hub token", "url_password": "password in an address",
}  # fmt: skip


def kind_name(kind: str) -> str:
    return KIND_NAMES.get(kind, kind.replace("_", " "))
