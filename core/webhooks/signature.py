"""Signatures of what leaves the installation: its receiver knows who sent it, and that nobody changed it.

Source: Standard Webhooks 1.0.0, "Signature scheme".
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error
from hashlib import sha256
from typing import Final

from core.errors import Code, TidingsError
from core.instants import MICROSECONDS, Instant

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
"""Of a secret that is made here."""
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64


def show_secret(secret: bytes) -> str:
    """Return a secret in the form in which its receiver takes it."""
    return PREFIX + b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret that somebody brings along.

    Raises:
        TidingsError: `validation_failed`, it is no `whsec_…`, or has less than 24 or more than 64 bytes.
    """
    try:
        secret = b64decode(text.removeprefix(PREFIX), validate=True)
    except (Error, ValueError):  # ValueError: not even ASCII
        secret = b""
    if not text.startswith(PREFIX) or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        detail = f"A secret is {PREFIX} and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes."
        raise TidingsError(Code.VALIDATION_FAILED, detail)
    return secret


def signed_headers(secret: bytes, message_id: str, attempted_at: Instant, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt.

    Args:
        secret: raw bytes, already decoded from `whsec_`.
        message_id: equal over all attempts; holds no dot.
        attempted_at: of this attempt, not of what it tells.
        body: the exact bytes to be sent; encoding again breaks the signature.
    """
    timestamp = str(attempted_at // MICROSECONDS)
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(secret, signed, sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
