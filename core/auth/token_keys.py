"""Whose tokens an organization believes besides those signed with its own secret, and what these must say.

An organization that moves here brings the keys of its old system along, so that the tokens which its backend
or its identity provider makes go on working. They are kept as one JSON document, sealed as a whole; it is
checked when it is written, and read into `TokenKeys` when it is used.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import jsonschema_rs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from core.auth.signatures import algorithms_of
from core.errors import Code, TidingsError
from core.instants import Instant, parse_instant

SUBSCRIPTIONS: Final = "subscriptions"
"""Member for the keys of subscription tokens; without it, they are those of connection tokens."""
SECRETS: Final = ("hmac_secret", "previous_hmac_secret")
PUBLIC_KEYS: Final = ("rsa_public_key", "ecdsa_public_key")
CHARACTERS_MAX: Final = 8_192
PATTERN_BYTES_MAX: Final = 100_000
"""Of a compiled pattern."""

_USER_CLAIM: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_URL: Final = re.compile(r"https?://[!-~]{1,2000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a claim must be, exactly or by a pattern that is found in it; with neither, anything or missing.

    Patterns are searched in linear time: nobody's pattern holds up the others.
    """

    exact: str = ""
    pattern: Any = field(default=None, compare=False)

    def admits(self, *values: str) -> bool:
        """Say whether one of the values is as expected."""
        if self.exact and self.exact not in values:
            return False
        return self.pattern is None or any(map(self.pattern.is_valid, values))


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """What verifies tokens of one kind, besides the organization's own secret.

    `previous_hmac_secret` counts until `previous_hmac_until`, or until it is taken away. Tokens with a
    public key's algorithm are verified by the keys here, else by those that `jwks_url` publishes.
    `user_claim` names the claim that tells the user.
    """

    hmac_secret: bytes = field(default=b"", repr=False)
    previous_hmac_secret: bytes = field(default=b"", repr=False)
    previous_hmac_until: Instant | None = None
    rsa_public_key: RSAPublicKey | None = None
    ecdsa_public_key: EllipticCurvePublicKey | None = None
    jwks_url: str = ""
    user_claim: str = "sub"
    issuer: Expected = Expected()
    audience: Expected = Expected()
    subscriptions: "TokenKeys | None" = None

    @property
    def of_subscriptions(self) -> "TokenKeys":
        """The keys of subscription tokens."""
        return self if self.subscriptions is None else self.subscriptions


def read_token_keys(document: dict[str, Any]) -> TokenKeys:
    """Return the keys of a document as it is sent and stored; a member that is null is absent.

    Raises:
        TidingsError: `validation_failed` with `errors`.
    """
    faults: list[dict[str, str]] = []
    values = {name: value for name, value in document.items() if value is not None}
    nested = values.pop(SUBSCRIPTIONS, None)
    subscriptions = None
    if isinstance(nested, dict):
        given = {name: value for name, value in nested.items() if value is not None}
        subscriptions = TokenKeys(**_read(given, f"#/{SUBSCRIPTIONS}/", faults))
    elif nested is not None:
        faults.append(_fault(f"#/{SUBSCRIPTIONS}", "wrong_type", "Must be an object."))
    read = _read(values, "#/", faults)
    if faults:
        first = f"{faults[0]['pointer']}: {faults[0]['detail']}"
        raise TidingsError(Code.VALIDATION_FAILED, first, errors=faults)
    return TokenKeys(**read, subscriptions=subscriptions)


def shown_token_keys(document: dict[str, Any], own_secret: bytes) -> dict[str, Any]:
    """Return a stored document without what is secret, for whoever looks after it.

    In place of a secret stands a fingerprint that tells it from others and says nothing about it: it is
    made with the organization's own secret, since that of another system may be short enough to be
    guessed. A public key's is the SHA-256 of its DER form (SubjectPublicKeyInfo).
    """
    shown = {name: value for name, value in document.items() if value is not None}
    for name in SECRETS:
        if name in shown:
            digest = hmac.new(own_secret, b"fingerprint " + shown[name].encode(), sha256).hexdigest()
            shown[name] = {"fingerprint": digest[:16]}
    for name in PUBLIC_KEYS:
        if name in shown:
            key = load_pem_public_key(shown[name].encode())
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            shown[name] = {"fingerprint": sha256(der).hexdigest(), "pem": shown[name]}
    if SUBSCRIPTIONS in shown:
        shown[SUBSCRIPTIONS] = shown_token_keys(shown[SUBSCRIPTIONS], own_secret)
    return shown


def _fault(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}


def _read(values: dict[str, Any], at: str, faults: list[dict[str, str]]) -> dict[str, Any]:
    """Return the arguments of `TokenKeys` that a document's members are; what is wrong joins `faults`."""
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _READERS:
            faults.append(
                _fault(
                    at + name[:100].replace("~", "~0").replace("/", "~1"), "unknown_field", "No such field."
                )
            )
        elif not isinstance(value, str) or not 0 < len(value) <= CHARACTERS_MAX:
            faults.append(
                _fault(at + name, "wrong_type", f"Must be a string of 1 to {CHARACTERS_MAX} characters.")
            )
        else:
            try:
                read[name] = _READERS[name](value)
            except (ValueError, UnsupportedAlgorithm):
                faults.append(_fault(at + name, "format", _FORMS[name]))
    for name in ("issuer", "audience"):
        read[name] = Expected(read.get(name, ""), read.pop(f"{name}_pattern", None))
    return read


def _rsa(pem: str) -> RSAPublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey) or not algorithms_of(key):
        raise ValueError(pem)
    return key


def _ecdsa(pem: str) -> EllipticCurvePublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, EllipticCurvePublicKey) or not algorithms_of(key):
        raise ValueError(pem)
    return key


def _pattern(text: str) -> Any:
    options = jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX, dfa_size_limit=PATTERN_BYTES_MAX)
    return jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=options)


def _matching(form: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if form.fullmatch(text) is None:
            raise ValueError(text)
        return text

    return read


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "hmac_secret": str.encode,
    "previous_hmac_secret": str.encode,
    "previous_hmac_until": parse_instant,
    "rsa_public_key": _rsa,
    "ecdsa_public_key": _ecdsa,
    "jwks_url": _matching(_URL),
    "user_claim": _matching(_USER_CLAIM),
    "issuer": str,
    "issuer_pattern": _pattern,
    "audience": str,
    "audience_pattern": _pattern,
}
_FORMS: Final = {
    "hmac_secret": "Must be a text.",
    "previous_hmac_secret": "Must be a text.",
    "previous_hmac_until": "Must be a time as in 2026-11-22T16:20:32Z.",
    "rsa_public_key": "Must be the PEM of a public RSA key of 2048 to 8192 bits.",
    "ecdsa_public_key": "Must be the PEM of a public key on P-256, P-384 or P-521.",
    "jwks_url": "Must be an http or https URL.",
    "user_claim": "Must be the name of a claim: letters, digits and _, at most 64.",
    "issuer_pattern": "Must be a regular expression without look-around and back-references.",
    "audience_pattern": "Must be a regular expression without look-around and back-references.",
}
