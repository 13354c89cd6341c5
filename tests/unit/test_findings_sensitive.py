"""Secrets, personal data, hidden signs and damage: found, proven, masked; and what only looks like them left alone."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import base64
import hashlib
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.domain import characters, sensitive
from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.domain.sensitive_rules import RULES, Trigger
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.sensitive import UNSEEN, scan
from tests.unit.findings import chat, judged, rows_of


def test_damaged_text_is_found():
    records = [
        chat("Wie geht's?", "GrÃ¼ÃŸe aus KÃ¶ln."),
        chat("Wie?", "Grüße aus São Paulo."),
        chat("Was?", "Stra\ufffde."),
    ]

    assert rows_of(judged(records), Found.ENCODING_DAMAGE) == [0, 2]


SECRETS = {
    "aws_access_key": "key AKIAIOSFODNN7EXAMPLE here",
    "github_token": "ghp_" + "a1B2" * 9,
    "slack_token": "xoxb-123456789012-abcdefghij",
    "stripe_key": "sk_live_" + "a1B2" * 6,
    "api_key": "sk-proj-" + "a1B2" * 8,
    "google_key": "AIza" + "a1B2c" * 7,
    "hub_token": "hf_" + "aBcD" * 9,
    "private_key": "-----BEGIN RSA PRIVATE KEY-----",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    "password": "password: hunter2-Very",
    "gitlab_token": "glpat-" + "aB1_" * 5,
}


@pytest.mark.parametrize(("kind", "text"), SECRETS.items())
def test_keys_are_found_shown_in_part_and_masked(kind, text):
    hits = [hit for hit in sensitive.find(f"Please use {text} for it.") if hit.group == sensitive.SECRET]

    assert kind in [hit.kind for hit in hits]
    assert all(text.split()[-1] not in hit.preview for hit in hits)
    assert sensitive.mask(f"Please use {text} for it.").startswith("Please use ")
    assert not [h for h in sensitive.find(sensitive.mask(f"Please use {text} for it.")) if h.group == sensitive.SECRET]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to maria.lopez@firma-nord.de today", ["email"]),
        ("call +49 (0)30 123456-78 after nine", ["phone"]),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", ["iban"]),
        ("card 4111 1111 1111 1111 expires", ["card"]),
    ],
)
def test_personal_data_is_found(text, kinds):
    assert [hit.kind for hit in sensitive.find(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "password: required", "Enter your password: ********", "the ticket number is 4111111111111112",
        "IBAN DE89 3704 0044 0532 0130 01", "version 1.2.3.4", "ask user@example.com", "a+b = 12345678901234567890",
        "api_key: <your key>", "sk-learn is a library", "2024-11-22 10:00:00 +0000", "the task-force met",
        "order 1234 5678 9012 3456 7", "ratio @ 3.5", "+1 point for that", "token: abcdefghijkl",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_left_alone(text):
    assert list(sensitive.find(text)) == []


TOKEN = "q8Zr2LmX9vBt4KpW7nYcD3sF"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Steuer-ID 86095742719 bitte", "de_tax_id"), ("DNI 12345678Z", "es_dni"), ("NIE X1234567L", "es_dni"),
        ("codice RSSMRA85T10A562S fine", "it_cf"), ("NIR 1 85 05 78 006 084 91 voilà", "fr_nir"),
        ("PESEL: 44051401359", "pl_pesel"), ("SSN 536-90-4399", "us_ssn"), ("NI number AB 12 34 56 C", "gb_nino"),
        ("СНИЛС 112-233-445 95", "ru_snils"), ("身份证11010519491231002X号", "cn_id"), ("CPF 529.982.247-25", "br_cpf"),
        ("AHV 756.9217.0769.85", "ch_ahv"), ("NRN 85.07.30-033.28", "be_nrn"), ("server 84.23.11.9 is down", "ip_address"),
        ("call (415) 555-2671 now", "phone"), ("Tel.: 030/1234567", "phone"), ("IBAN GB82WEST12345698765432", "iban"),
        ("ES91 2100 0418 4502 0005 1332 CODE", "iban"), ("postgres://bob:s3cr3tpw@db.internal/x", "url_password"),
        (f"use {TOKEN} for it", "random_token"), ('"client_secret": "abcd1234efgh"', "password"), ("PGPASSWORD=hunter22x psql", ""),
        ("DB_PASSWORD=hunter22x psql", "password"),
    ],
)  # fmt: skip
def test_each_kind_proves_itself(text, kind):
    assert [hit.kind for hit in sensitive.find(text)] == ([kind] if kind else [])


@pytest.mark.parametrize(
    "text",
    [
        "Steuer-ID 86095742718", "DNI 12345678A", "RSSMRA85T10A562A", "NIR 1 85 05 78 006 084 92", "order 44051401359",
        "SSN 000-12-3456", "SSN 666-12-3456", "BG 12 34 56 C", "112-233-445 96", "110105194912310021", "529.982.247-26",
        "ISBN 978-3-16-148410-0", "ISBN 0-306-40615-2", "order number 123-4567890-1234567", "invoice 2024-0011-2233", "tracking 1Z999AA10123456784",
        "version 84.23.11.9", "v10.0.19041.1", "192.168.1.10 and 10.0.0.1", "127.0.0.1:8080", "256.300.1.1",
        "git@github.com:team/repo.git", "logo@2x.png", "npm i left-pad@1.3.0", "https://cdn.site.org/a/Qx8Zr2LmX9vBt4KpW7nYc.js",
        f"commit {hashlib.sha1(b'x').hexdigest()}", f"sha256:{hashlib.sha256(b'x').hexdigest()}", str(uuid.UUID(int=2**127 + 12345)),
        "Authorization " + base64.b64encode(b"user name and a plain sentence of text").decode(), "call_" + TOKEN, "chatcmpl-" + TOKEN,
        "getElementsByClassNameAndTagName2", "test_that_2_users_can_log_in_at_once", "src/components/Button2/index3/view4x", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
        "password = os.environ['PW1'] # read", "password: <your-password-1>", "password=get_password(user1)", "password: ${DB_PASSWORD1}",
        "2024-05-12 10:45:00", "1.234.567.890", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "3.14159265358979323846", "+3.5 % and +12",
        "x = 4111 * 1111 + 1111", "call 911", "phone 12", "0x7fff5fbff8c0", "EUR 1.234.567,89", "matrix [[1, 2], [3, 4]]",
    ],
)  # fmt: skip
def test_versions_books_orders_hashes_and_code_are_no_alarm(text):
    assert [(hit.kind, text[hit.start : hit.end]) for hit in sensitive.find(text)] == []


def test_a_whole_private_key_is_masked():
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow/aB+1\n" * 5 + "-----END RSA PRIVATE KEY-----"

    assert sensitive.mask(f"key:\n{key}\nend") == "key:\n[private_key]\nend"


def test_masking_by_kind_leaves_the_other_kinds():
    text = "write to maria@firma-nord.de or call +49 30 1234567"

    assert sensitive.mask(text, kinds=["email"]) == "write to [email] or call +49 30 1234567"
    assert sensitive.mask(text, group=sensitive.PERSONAL) == "write to [email] or call [phone]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a\u200bb", [("hidden", 1)]), ("co\u00adop", [("hidden", 2)]), ("x\U000e0067o", [("hidden", 1)]), ("a\u2060b\ufeff", [("hidden", 1), ("hidden", 3)]),
        ("plain\ufe0f text", [("hidden", 5)]), ("a\u200db", [("hidden", 1)]), ("abc\u200e", [("hidden", 3)]), ("\u3164", [("hidden", 0)]),
        ("a\u202eb", [("bidi", 1)]), ("x\u2067y\u2069", [("bidi", 1), ("bidi", 3)]), ("שלום \u202e", [("bidi", 5)]),
        ("👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3 ✈\ufe0f", []), ("می\u200cخواهم", []), ("क्\u200dष", []), ("ไทย\u200bไทย", []),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", []), ("\u200fשלום\u2067x\u2069", []), ("葛\U000e0100", []),
        ("GrÃ¼ÃŸe", [("damage", 2), ("damage", 4)]), ("Â°C", [("damage", 0)]), ("donâ€™t", [("damage", 3)]), ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", [("damage", 0)]),
        ("РїСЂРёРІРµС‚", [("damage", 0)]), ("ä½ å¥½", [("damage", 3)]), ("gr├╝n", [("damage", 2)]), ("caf√©", [("damage", 3)]), ("Stra\ufffde", [("damage", 4)]),
        ("a\x93b", [("damage", 1)]), ("ðŸ˜€", [("damage", 0)]),
        ("Ärger „Ä“ MENÜ– Spaß“ côté\u00a0: l’été’ «é» NÃO É“ 5 €", []), ("├── src", []), ("√2 + x√π", []), ("СССР» и РСФСР", []), ("日本語。", []),
    ],
)  # fmt: skip
def test_signs_that_should_not_be_there(text, found):
    assert [(sign.group, sign.start) for sign in characters.find(text)] == found


def test_stripping_leaves_what_scripts_and_emoji_need():
    text = "a\u200bb\u202ec 👨\u200d👩 می\u200cخواهم"

    assert characters.strip(text) == "abc 👨\u200d👩 می\u200cخواهم"


def test_places_name_row_segment_and_offsets_and_hold_no_value():
    records = [chat("Hello?", "Hi there."), chat("Who?", "Write to maria.lopez@firma-nord.de today.")]

    found = judged(records)

    place = found.details[Found.PERSONAL_DATA]["previews"][0]
    assert place == {"row": 1, "segment": 1, "kind": "email", "start": 9, "end": 34, "preview": "mari…(25 characters)"}
    assert found.details[Found.PERSONAL_DATA]["rows_of_kind"] == {"email": 1}
    assert rows_of(found, Found.PERSONAL_DATA) == [1]


PIECES = st.sampled_from(
    [
        *SECRETS.values(), TOKEN, "maria@firma.de", "+49 30 1234567", "DE89 3704 0044 0532 0130 00", "4111-1111-1111-1111", "3782 822463 10005",
        "86095742719", "12345678Z", "X1234567L", "RSSMRA85T10A562S", "1 85 05 78 006 084 91", "PESEL 44051401359", "536-90-4399", "AB123456C", "AB 12 34 56 C",
        "112-233-445 95", "11010519491231002X", "529.982.247-25", "756.9217.0769.85", "85.07.30-033.28", "84.23.11.9", "(415) 555-2671", "Tel. 030 1234567",
        "ftp://a:bcd9@h", "pwd=abc12345", "\u200b", "\u200d", "\u200c", "\ufe0f", "\u202e", "\u2067", "\u00ad", "\ufffd", "Ã©", "Â°", "â€™", "Ð¿Ñ€", "РїСЂРё", "├╝", "√©", "ðŸ˜€", "ä½\xa0",
        "\U000e0067", "🏴", "👩", "❤", "م", "क", "ไ", "葛", "ש", " ", "\n", "-", ".", "a", "Z", "7", "é", "中", "_", "=", "/", "+", ":", "@", "(", ")", "word ", "Б", "“", "\u0007", "\x85", "x" * 61, "0" * 30,
    ]
)  # fmt: skip


def bits_of(texts: list[str]) -> list[int]:
    row = Row(Kind.SFT, [{"role": "user", "content": text} for text in texts] + [{"role": "assistant", "content": "."}])
    return scan(batch_of_rows([(1, row)])).tolist()[:-1]


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=9).map("".join), min_size=1, max_size=4))
def test_the_kernel_marks_whatever_the_rules_find(texts):
    """Candidates ⊇ reference: nothing is lost by looking with the kernel first."""
    for text, bits in zip(texts, bits_of(texts), strict=True):
        for rule in RULES:
            for match in rule.pattern.finditer(text):
                if rule.proof(match.group()) and rule.setting(match):
                    assert bits & rule.trigger, (rule.kind, match.group(), text)
        if list(characters.find(text)):
            assert bits & UNSEEN, text
        narrowed = list(sensitive.find(text, Trigger(bits & int(~UNSEEN))))
        assert narrowed == list(sensitive.find(text))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=120), min_size=1, max_size=4))
def test_the_kernel_marks_whatever_the_rules_find_in_any_text(texts):
    for text, bits in zip(texts, bits_of(texts), strict=True):
        assert not list(sensitive.find(text)) or bits
        assert not list(characters.find(text)) or bits & UNSEEN, text
