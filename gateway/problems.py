"""Errors on their way out of REST: RFC 9457 problem documents, made from the registry and nowhere else."""

from typing import Any, Final

from core.errors import Code, TidingsError
from core.streams.outcome import Refused, Unknown

MEDIA_TYPE: Final = "application/problem+json"
QUOTA_TYPES: Final = {
    Code.CAPACITY_REDUCED: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
}
RETRY_AFTER_S: Final = 1


def problem_of(
    error: TidingsError, *, request_id: str, origin: str = "", instance: str = ""
) -> dict[str, Any]:
    """Return the problem document of an error.

    Args:
        error: what happened.
        request_id: the public id of the request, which logs name too.
        origin: of this installation, for the page that explains the code.
        instance: `urn:uuid:` of the request.
    """
    row, code = error.row, error.code
    page = f"{origin}/problems/{code.value}"
    problem: dict[str, Any] = {
        "type": QUOTA_TYPES.get(code, page),
        "title": row.title,
        "status": row.status,
        "detail": error.detail or row.advice,
        "code": code.value,
        "retry": row.retry,
        "request_id": request_id,
        "doc_url": page,
    }
    if instance:
        problem["instance"] = instance
    members = {key: value for key, value in error.members.items() if key not in ("version", "retry_after_s")}
    return problem | members


def headers_of(error: TidingsError) -> dict[str, str]:
    """Return the headers that an error needs besides its body."""
    headers = {}
    if error.row.retry == "after":
        headers["Retry-After"] = str(error.members.get("retry_after_s") or RETRY_AFTER_S)
    if error.row.status == 401:  # noqa: PLR2004 (RFC 9110 §15.5.2 wants the challenge)
        headers["WWW-Authenticate"] = "Bearer"
    if version := error.members.get("version"):
        headers["ETag"] = f'"r{version}"'
    return headers


def error_of(outcome: Refused | Unknown) -> TidingsError:
    """Return the error that a refused or unknown write is answered with."""
    if isinstance(outcome, Unknown):
        return TidingsError(Code.OUTCOME_UNKNOWN)
    members: dict[str, Any] = {}
    if outcome.errors:
        members["errors"] = [
            {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in outcome.errors
        ]
    if outcome.version:
        members["version"] = outcome.version
    if outcome.retry_after_s:
        members["retry_after_s"] = outcome.retry_after_s
    return TidingsError(Code(outcome.code), outcome.detail, **members)
