"""Proofs that a piece of text is what it looks like: check digits, rules of issuers, and how random a token is."""

import base64
import binascii
import math
import re
from collections import Counter
from itertools import pairwise

# Lengths of the IBAN registry (ISO 13616) for the countries that use one.
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FO GL FI NL", "19": "MK SI", "20": "AT BA EE KZ LT LU XK MN",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE IL IQ OM TL GI",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG DZ", "25": "PT ST LY AO CV MZ", "26": "IS TR", "27": "BF BI CF FR GR "
        "IT MC MR SM CM CG DJ GA GQ KM MG ML SN TD TG", "28": "AL AZ BJ CI CY DO GT HN HU LB NE NI PL SV MA",
        "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC", "33": "LC RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HEX = re.compile(r"(?i)[0-9a-f-]+")
# Names that programs give their requests, messages and files: random, but no secrets.
_PUBLIC = re.compile(
    r"(?i)(?:call|toolu|chatcmpl|chatcmpl-tool|req|msg|resp|run|file|asst|thread|step|item|evt|cus|ch|pi|in|sub|prod|"
    r"price|id|uuid|ftjob|batch|fp|cmpl|gen|commit|ref|sha\d{0,3}|md5|build|AAAA|data)[_-]|AAAA|sha(?:256|384|512)-"
)
RANDOM_BITS, TURNS, TURNS_ONE_CASE = 3.6, 0.3, 0.45
SHORTEST_TOKEN, LONGEST_TOKEN = 20, 200


def digits_of(text: str) -> list[int]:
    return [int(c) for c in text if "0" <= c <= "9"]


def weighted(digits: list[int], weights: tuple[int, ...]) -> int:
    return sum(d * w for d, w in zip(digits, weights, strict=False))


def luhn(text: str) -> bool:
    """ISO/IEC 7812: from the right, every other digit doubled."""
    digits = digits_of(text)
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """ISO 13616: letters as numbers, first four characters last, remainder 1 by 97."""
    compact = text.replace(" ", "")
    if len(compact) != IBAN_LENGTHS.get(compact[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def es_dni(text: str) -> bool:
    """Eight digits, or a letter for the first of them, and a letter by the remainder of 23."""
    compact = text.replace("-", "")
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return DNI_LETTERS[int(number) % 23] == compact[-1]


def it_cf(text: str) -> bool:
    """Codice fiscale: signs at odd places weigh by a table, the sum by 26 is the last letter."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    value = [int(c) if c.isdigit() else ord(c) - 65 for c in text]
    total = sum(odd[v] if n % 2 == 0 else v for n, v in enumerate(value[:15]))
    return total % 26 == value[15]


def fr_nir(text: str) -> bool:
    """Thirteen digits (Corsica's 2A and 2B count as 19 and 18), and 97 less their remainder by 97."""
    compact = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    if len(compact) != 15 or not compact.isdigit():
        return False
    month = int(compact[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42 or month >= 50) and 97 - int(compact[:13]) % 97 == int(compact[13:])


def de_tax_id(text: str) -> bool:
    """One digit twice or thrice among the first ten, none of the rest twice; check digit by ISO 7064 MOD 11,10."""
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == 0:
        return False
    repeated = sorted(Counter(digits[:10]).values(), reverse=True)
    if repeated[0] not in (2, 3) or repeated[1] != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[10]


def pl_pesel(text: str) -> bool:
    digits = digits_of(text)
    month, day = digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]
    dated = 1 <= month % 20 <= 12 and 1 <= day <= 31
    return dated and (10 - weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == digits[10]


def us_ssn(text: str) -> bool:
    """No check digit; areas, groups and serials that are never issued."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def gb_nino(text: str) -> bool:
    """No check digit; prefixes that are never issued."""
    prefix = text[:2]
    never = prefix in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
    return not never and prefix[0] not in "DFIQUV" and prefix[1] not in "DFIQUVO"


def cn_id(text: str) -> bool:
    """GB 11643: place, birthday, order, and a check sign by 11."""
    year, month, day = int(text[6:10]), int(text[10:12]), int(text[12:14])
    if not (1900 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31):
        return False
    total = weighted(digits_of(text[:17]), (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return "10X98765432"[total % 11] == text[17].upper()


def ru_snils(text: str) -> bool:
    digits = digits_of(text)
    return weighted(digits[:9], (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100 == digits[9] * 10 + digits[10]


def br_cpf(text: str) -> bool:
    digits = digits_of(text)
    first = weighted(digits[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    second = weighted(digits[:10], (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    return len(set(digits)) > 1 and [first, second] == digits[9:]


def ch_ahv(text: str) -> bool:
    """As an EAN-13: every other digit three times."""
    digits = digits_of(text)
    return sum(d * (3 if n % 2 else 1) for n, d in enumerate(digits)) % 10 == 0


def be_nrn(text: str) -> bool:
    digits = "".join(map(str, digits_of(text)))
    number, check = digits[:9], int(digits[9:])
    return check in (97 - int(number) % 97, 97 - int("2" + number) % 97)


def phone(text: str) -> bool:
    """International form: nine to fifteen digits, and no number with a decimal point."""
    return 9 <= len(digits_of(text)) <= 15 and text[1] != "0" and not re.fullmatch(r"\+\d+\.\d+", text)


def national_phone(text: str) -> bool:
    return 7 <= len(digits_of(text)) <= 13


def public_ip(text: str) -> bool:
    """An address somebody can be reached at: not private, reserved, for documents, or a version number."""
    a, b, c, d = map(int, text.split("."))
    if max(a, b, c, d) > 255 or a < 11 or a >= 224 or a == 127:
        return False
    private = (a, b) in ((192, 168), (169, 254)) or (a == 172 and 16 <= b < 32) or (a == 100 and 64 <= b < 128)
    documents = (a, b, c) in ((192, 0, 2), (198, 51, 100), (203, 0, 113), (192, 0, 0))
    return not private and not documents


def real_password(text: str) -> bool:
    """`password: secret123!`, not `password: required`, a placeholder or a piece of code."""
    value = re.split(r"[:=]", text, maxsplit=1)[1].strip(" \t\"'`")
    if value.startswith(("<", "{", "$", "[", "*", "%", "x" * 3, "/", "(")) or re.search(r"[()\[\]{}<>]", value):
        return False
    if re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+;?", value):  # config.password2
        return False
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def entropy(text: str) -> float:
    """Shannon entropy of its signs, bits a sign."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def looks_random(token: str) -> bool:
    """A token somebody drew at random: no hash, UUID, path, name of a thing, or base64 of a text."""
    core = token.strip("=-_/+")
    if not SHORTEST_TOKEN <= len(core) <= LONGEST_TOKEN or _HEX.fullmatch(core) or _PUBLIC.match(core):
        return False
    kinds = ["d" if "0" <= c <= "9" else "u" if "A" <= c <= "Z" else "l" if "a" <= c <= "z" else "x" for c in core]
    count = Counter(kinds)
    if count["d"] < 3 or count["x"] > len(core) // 8:
        return False
    turns = sum(a != b for a, b in pairwise(kinds)) / len(core)
    both = count["u"] >= 2 and count["l"] >= 2
    if turns < (TURNS if both else TURNS_ONE_CASE) or (not both and len(core) < 24):
        return False
    return entropy(core) >= RANDOM_BITS and not _base64_of_text(token)


def _base64_of_text(token: str) -> bool:
    padded = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        plain = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in plain)
