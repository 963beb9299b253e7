"""Errors as clients of HTTP see them: RFC 9457 problem documents, made from the registry and nowhere else."""

from typing import Any, Final

from core.errors import Code, TidingsError
from core.ids import decode, encode
from core.streams.outcome import FieldError, Refused, Unknown

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 20
RETRY_AFTER_S: Final = 1

_QUOTA: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_TYPES: Final = {
    Code.RATE_LIMITED: _QUOTA,
    Code.CONCURRENCY_LIMITED: _QUOTA,
    Code.CAPACITY_REDUCED: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
}
# Members of a `TidingsError` that become headers, or nothing, and never stand in the document.
_NOT_IN_THE_DOCUMENT: Final = frozenset({"retry_after_s", "allow", "version", "replayed", "first_request_id"})
_SERVER_ERRORS: Final = 500
_UNAUTHORIZED: Final = 401
# What a refusal of one item of an atomic batch says about the item, as a field code.
_FIELD_CODES: Final = {
    Code.ALREADY_EXISTS: "duplicate",
    Code.NOT_FOUND: "not_found",
    Code.BODY_TOO_LARGE: "too_long",
}


def problem_of(error: TidingsError, *, request_id: str = "", origin: str = "") -> dict[str, Any]:
    """Return the problem document of an error.

    A stored refusal that is answered again names the request that was refused first (member
    `first_request_id`, raw), so that its document stays the same byte for byte.

    Args:
        error: what happened.
        request_id: the public id of the request, which logs name too; "" where the problem is a member of
            an answer about several things.
        origin: of this installation, for the page that explains the code.
    """
    code, row, members = error.code, error.row, error.members
    page = f"{origin}/problems/{code.value}"
    if request_id and (first := members.get("first_request_id")):
        request_id = encode("req", first)
    problem: dict[str, Any] = {
        "type": _TYPES.get(code, page),
        "title": row.title,
        "status": row.status,
        # What happened inside is nobody's business outside: the text of a 5xx is constant.
        "detail": row.advice if row.status >= _SERVER_ERRORS else error.detail or row.advice,
    }
    if request_id:
        problem["instance"] = f"urn:uuid:{_uuid(decode('req', request_id))}"
    problem["code"] = code.value
    problem["retry"] = row.retry
    if request_id:
        problem["request_id"] = request_id
    problem["doc_url"] = page
    if code in _TYPES:
        problem["violated-policies"] = []  # unless a member below names some
    for name, value in members.items():
        if name not in _NOT_IN_THE_DOCUMENT:
            problem[name] = value[:ERRORS_MAX] if name == "errors" else value
    return problem


def headers_of(error: TidingsError) -> dict[str, str]:
    """Return the headers that an error needs besides its body."""
    headers: dict[str, str] = {}
    members = error.members
    if error.row.status == _UNAUTHORIZED:
        # RFC 6750 §3: no error code for a request that brought no credential.
        invalid = "" if error.code is Code.UNAUTHENTICATED else ', error="invalid_token"'
        headers["WWW-Authenticate"] = f'Bearer realm="tidings"{invalid}'
    if error.row.retry == "after":
        headers["Retry-After"] = str(members.get("retry_after_s") or RETRY_AFTER_S)
    if "allow" in members:
        headers["Allow"] = members["allow"]
    if members.get("version"):
        headers["ETag"] = f'"r{members["version"]}"'
    if members.get("replayed"):
        headers["Idempotent-Replayed"] = "true"
    return headers


def error_of(outcome: Refused | Unknown) -> TidingsError:
    """Return the error that a write without a known effect is answered with."""
    if isinstance(outcome, Unknown):
        return TidingsError(Code.OUTCOME_UNKNOWN)
    if outcome.index >= 0:
        error = _error_of_item(outcome)
    else:
        error = TidingsError(Code(outcome.code), outcome.detail)
        if outcome.errors:
            error.members["errors"] = [_field(fault, "#") for fault in outcome.errors]
    if outcome.version:
        error.members["version"] = outcome.version
    if outcome.retry_after_s:
        error.members["retry_after_s"] = outcome.retry_after_s
    if outcome.replayed:
        error.members["replayed"] = True
        error.members["first_request_id"] = outcome.event_id
    return error


def _error_of_item(refused: Refused) -> TidingsError:
    """Return the error of an atomic batch: 422 whatever failed, its first failing item in the pointer."""
    pointer, code = f"#/items/{refused.index}", Code(refused.code)
    errors = [_field(fault, pointer) for fault in refused.errors]
    if not errors:
        detail = refused.detail or TidingsError(code).row.title
        errors = [{"pointer": pointer, "code": _FIELD_CODES.get(code, "not_allowed"), "detail": detail}]
    detail = f"Item {refused.index} was refused, and with it all others."
    return TidingsError(Code.VALIDATION_FAILED, detail, errors=errors)


def _field(fault: FieldError, prefix: str) -> dict[str, str]:
    pointer = prefix + fault.pointer.removeprefix("#")
    return {"pointer": pointer, "code": fault.code, "detail": fault.detail}


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
