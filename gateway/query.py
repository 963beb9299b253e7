"""Query strings, for both halves: each parameter at most once, and a credential in none."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from core.errors import Code, TidingsError
from core.resources.schema import CREDENTIAL_PARAMETERS

PARAMETERS_MAX: Final = 50
NAME_CHARACTERS_MAX: Final = 100

_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NUL: Final = b"%00"
_CREDENTIAL: Final = re.compile(rb"tdg_(live|test)_[0-9A-Za-z]{20}", re.ASCII)


def refuse_credentials(raw: bytes) -> None:
    """Accept a query string without a credential: URLs are logged wherever they pass.

    Asked before who sends it, since the one who does has sent his credential there, and in no header.

    Raises:
        TidingsError: `credential_in_url`, by what a value looks like or what its parameter is called.
    """
    if not raw:
        return
    if _CREDENTIAL.search(unquote_to_bytes(raw)):
        raise TidingsError(Code.CREDENTIAL_IN_URL)
    for part in raw.split(b"&"):
        name = unquote_to_bytes(part.partition(b"=")[0])
        if name.lower().decode("latin-1") in CREDENTIAL_PARAMETERS:
            raise TidingsError(Code.CREDENTIAL_IN_URL)


def read_query(raw: bytes, known: frozenset[str] | None) -> dict[str, str]:
    """Return the query parameters, each at most once.

    Args:
        raw: what stands behind the question mark.
        known: the names that exist; None: any, for the caller to judge.

    Raises:
        TidingsError: `unknown_parameter` for an unknown or repeated one, `malformed_request`.
    """
    query: dict[str, str] = {}
    for part in filter(None, raw.split(b"&")):
        before, _, after = part.partition(b"=")
        name, value = decoded(before, plus=True), decoded(after, plus=True)
        shown = name[:NAME_CHARACTERS_MAX]
        if known is not None and name not in known:
            raise TidingsError(Code.UNKNOWN_PARAMETER, _there_are(known), parameter=shown)
        if name in query:
            raise TidingsError(Code.UNKNOWN_PARAMETER, "The parameter was sent twice.", parameter=shown)
        query[name] = value
        if len(query) > PARAMETERS_MAX:
            raise TidingsError(Code.UNKNOWN_PARAMETER, f"At most {PARAMETERS_MAX} parameters.")
    return query


def _there_are(known: frozenset[str]) -> str:
    """Name the parameters that exist: a handful, since the code lists them."""
    if not known:
        return "There is no such parameter, and no other here."
    return f"There is no such parameter; here are {', '.join(sorted(known))}."


def decoded(raw: bytes, *, plus: bool = False) -> str:
    """Return a part of a URL as its text; with `plus`, a `+` is a space.

    Raises:
        TidingsError: `malformed_request`, it is not well encoded, not UTF-8, or holds a NUL.
    """
    if plus:
        raw = raw.replace(b"+", b" ")
    try:
        if b"%" not in raw:
            return raw.decode()
        check_encoding(raw)
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise TidingsError(Code.MALFORMED_REQUEST, "The URL is not UTF-8.") from None


def check_encoding(raw: bytes) -> None:
    """Accept what is percent-encoded as it should be.

    Raises:
        TidingsError: `malformed_request`, also for a NUL, which no text of ours holds.
    """
    if _BROKEN_PERCENT.search(raw):
        raise TidingsError(Code.MALFORMED_REQUEST, "The URL's percent-encoding is broken.")
    if _NUL in raw:
        raise TidingsError(Code.MALFORMED_REQUEST, "The URL holds a NUL.")
