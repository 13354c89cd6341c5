"""Signatures by the Standard Webhooks scheme, and secrets that are derived and never stored."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from projects.domain import signing

KEY = "an installation's key"
# The vector that the scheme's own libraries are tested with.
VECTOR = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": 1614265330,
    "body": b'{"test": 2432232314}',
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def check(secret, headers, body):
    """A receiver, written anew: it knows nothing of the code that signs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return wanted in [part.partition(",")[2] for part in headers["webhook-signature"].split(" ")]


def test_the_published_vector_is_met():
    made = signing.signature(VECTOR["secret"], VECTOR["id"], VECTOR["timestamp"], VECTOR["body"])

    assert made == VECTOR["signature"]


def test_a_receiver_accepts_what_was_signed_and_nothing_else():
    salt = signing.new_salt()
    secret = signing.secret_of(salt, signing.key_id(KEY), [KEY])
    headers = signing.headers_of([secret], "evt_1", 1_700_000_000, b"{}")

    assert check(secret, headers, b"{}")
    assert not check(secret, headers, b"{ }")
    assert not check(secret, headers | {"webhook-id": "evt_2"}, b"{}")
    assert not check(secret, headers | {"webhook-timestamp": "1700000001"}, b"{}")
    assert not check(signing.secret_of(signing.new_salt(), signing.key_id(KEY), [KEY]), headers, b"{}")


def test_while_a_secret_is_replaced_both_receivers_accept():
    old, new = (signing.secret_of(signing.new_salt(), signing.key_id(KEY), [KEY]) for _ in range(2))
    headers = signing.headers_of([new, old], "evt_1", 1, b"{}")

    assert headers["webhook-signature"].count("v1,") == 2
    assert check(old, headers, b"{}") and check(new, headers, b"{}")


def test_a_secret_has_256_bits_and_follows_from_key_and_salt():
    salt = signing.new_salt()
    made = signing.secret_of(salt, signing.key_id(KEY), [KEY])

    assert made.startswith("whsec_") and len(base64.b64decode(made.removeprefix("whsec_"))) == 32
    assert made == signing.secret_of(salt, signing.key_id(KEY), ["another key", KEY])
    assert made != signing.secret_of(signing.new_salt(), signing.key_id(KEY), [KEY])
    assert salt not in made and KEY not in made


def test_a_key_that_is_gone_is_told_and_not_guessed():
    with pytest.raises(signing.NoSuchKey):
        signing.secret_of(signing.new_salt(), signing.key_id(KEY), ["another key"])


def test_the_body_is_the_same_bytes_whatever_the_order_of_its_parts():
    at = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    one, other = {"b": 1, "a": {"d": "ü", "c": 2}}, {"a": {"c": 2, "d": "ü"}, "b": 1}

    assert signing.body_of("run.failed", at, one) == signing.body_of("run.failed", at, other)
    assert json.loads(signing.body_of("run.failed", at, one)) == {
        "type": "run.failed",
        "timestamp": "2026-05-04T12:30:00Z",
        "data": one,
    }
