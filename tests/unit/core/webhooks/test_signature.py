"""Signatures: the vectors that other implementations agree on, and secrets that are none."""

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TidingsError
from core.instants import Instant
from core.webhooks.signature import read_secret, show_secret, signed_headers

BODY = b'{"event_type":"ping","data":{"success":true}}'
AT = Instant(1_731_705_121_999_999)


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        ("plJ3nmyCDGBKInavdOK15jsl", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "v1,e15DzZpmxa+EKd0Z0UqevqoJ8wTL7KVwA8atSKPTZ5Y="),
    ],
)
def test_an_attempt_is_signed_as_everywhere(secret: str, signature: str) -> None:
    assert signed_headers(b64decode(secret), "msg_loFOjxBNrRLzqYUf", AT, BODY) == {
        "webhook-id": "msg_loFOjxBNrRLzqYUf",
        "webhook-timestamp": "1731705121",
        "webhook-signature": signature,
    }


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_that_is_shown_can_be_brought_along(secret: bytes) -> None:
    assert show_secret(secret).startswith("whsec_")
    assert read_secret(show_secret(secret)) == secret


@pytest.mark.parametrize(
    "text", ["", "whsec_", show_secret(bytes(23)), show_secret(bytes(65)), show_secret(bytes(32))[6:]]
)
def test_what_has_not_the_form_or_the_length_is_no_secret(text: str) -> None:
    with pytest.raises(TidingsError):
        read_secret(text)


@pytest.mark.parametrize("text", ["whsec_" + "ä" * 40, "whsec_" + "AAAA" * 8 + "A", "whsec_" + "A-_A" * 8])
def test_what_is_not_base64_is_no_secret(text: str) -> None:
    with pytest.raises(TidingsError):
        read_secret(text)
