"""The closed registry of everything that can go wrong, for people, programs, REST and sockets alike.

A row's code never changes its status or meaning; adding a row is a minor release. Translated only in
`gateway/problems.py`. The registry is printed as `docs/operations/error-codes.md` and served at
`/problems/{code}`.
"""

from enum import Enum
from typing import Any, Final, Literal, NamedTuple

Retry = Literal["never", "later", "after"]


class Row(NamedTuple):
    """One kind of error.

    `status` is the HTTP status; `realtime` the error code of a reply on a socket; `close` the code that
    ends a socket when the error does; `retry` whether the same request may succeed later; `advice` tells a
    client's author what to do.
    """

    status: int
    realtime: int
    close: int
    retry: Retry
    title: str
    advice: str


class Code(Enum):
    """Every error code of the product, as clients see it."""

    MALFORMED_REQUEST = "malformed_request"
    UNKNOWN_PARAMETER = "unknown_parameter"
    HEADER_INVALID = "header_invalid"
    VERSION_UNKNOWN = "version_unknown"
    CURSOR_INVALID = "cursor_invalid"
    CURSOR_MISMATCH = "cursor_mismatch"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"
    CREDENTIAL_IN_URL = "credential_in_url"
    UNAUTHENTICATED = "unauthenticated"
    CREDENTIAL_INVALID = "credential_invalid"
    CREDENTIAL_EXPIRED = "credential_expired"
    PERMISSION_DENIED = "permission_denied"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    ORGANIZATION_SUSPENDED = "organization_suspended"
    NOT_FOUND = "not_found"
    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    ALREADY_EXISTS = "already_exists"
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight"
    EPOCH_CHANGED = "epoch_changed"
    HISTORY_EXPIRED = "history_expired"
    PRECONDITION_FAILED = "precondition_failed"
    PRECONDITION_REQUIRED = "precondition_required"
    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    HEADERS_TOO_LARGE = "headers_too_large"
    UPGRADE_REQUIRED = "upgrade_required"
    VALIDATION_FAILED = "validation_failed"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    RULE_VIOLATED = "rule_violated"
    RATE_LIMITED = "rate_limited"
    CONCURRENCY_LIMITED = "concurrency_limited"
    INTERNAL = "internal"
    BAD_GATEWAY = "bad_gateway"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    UNAVAILABLE = "unavailable"
    CAPACITY_REDUCED = "capacity_reduced"
    PARTITION_MOVING = "partition_moving"
    OUTCOME_UNKNOWN = "outcome_unknown"
    # Of sockets alone: what the Centrifuge protocol knows and REST does not.
    UNKNOWN_CHANNEL = "unknown_channel"
    EXPIRED = "expired"
    ALREADY_SUBSCRIBED = "already_subscribed"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_AVAILABLE = "not_available"
    UNRECOVERABLE_POSITION = "unrecoverable_position"
    PROTOCOL_VIOLATION = "protocol_violation"


_R = Row
REGISTRY: Final[dict[Code, Row]] = {
    Code.MALFORMED_REQUEST: _R(
        400, 107, 3501, "never", "Malformed request", "Send well-formed UTF-8 JSON no deeper than 32 levels."
    ),
    Code.UNKNOWN_PARAMETER: _R(
        400, 107, 3501, "never", "Unknown parameter", "Remove or correct the query parameter that is named."
    ),
    Code.HEADER_INVALID: _R(400, 107, 3501, "never", "Invalid header", "Correct the header that is named."),
    Code.VERSION_UNKNOWN: _R(
        400,
        107,
        3501,
        "never",
        "Unknown API version",
        "Send one of supported_versions in Tidings-Version, or leave it out.",
    ),
    Code.CURSOR_INVALID: _R(
        400,
        107,
        3501,
        "never",
        "Invalid cursor",
        "Pass next_cursor exactly as it was answered, or start again without one.",
    ),
    Code.CURSOR_MISMATCH: _R(
        400,
        107,
        3501,
        "never",
        "Cursor of another list",
        "Use a cursor only with the path and filters that it came from.",
    ),
    Code.IDEMPOTENCY_KEY_INVALID: _R(
        400,
        107,
        3501,
        "never",
        "Invalid Idempotency-Key",
        "Send one key of 1 to 255 visible ASCII characters.",
    ),
    Code.IDEMPOTENCY_KEY_REQUIRED: _R(
        400, 107, 3501, "never", "Idempotency-Key required", "Send an Idempotency-Key with every write."
    ),
    Code.CREDENTIAL_IN_URL: _R(
        400,
        107,
        3501,
        "never",
        "Credential in the URL",
        "Send the key in Authorization and replace it: URLs are logged.",
    ),
    Code.UNAUTHENTICATED: _R(
        401, 101, 3501, "never", "Authentication required", "Send Authorization: Bearer <API key>."
    ),
    Code.CREDENTIAL_INVALID: _R(
        401,
        101,
        3500,
        "never",
        "Invalid credential",
        "Check that the key is whole, not revoked, and of this installation.",
    ),
    Code.CREDENTIAL_EXPIRED: _R(401, 109, 3005, "never", "Expired credential", "Get a new key or token."),
    Code.PERMISSION_DENIED: _R(
        403, 103, 3507, "never", "Permission denied", "Use a credential that has required_scope."
    ),
    Code.ORIGIN_NOT_ALLOWED: _R(
        403,
        103,
        3507,
        "never",
        "Origin not allowed",
        "Add the page's origin to TIDINGS_REALTIME_ORIGINS, or connect from one that is there.",
    ),
    Code.ORGANIZATION_SUSPENDED: _R(
        403, 103, 3507, "never", "Organization suspended", "Ask the operator of this installation."
    ),
    Code.NOT_FOUND: _R(404, 104, 3501, "never", "Not found", "Check the id; it may have been deleted."),
    Code.ROUTE_NOT_FOUND: _R(
        404,
        104,
        3501,
        "never",
        "No such route",
        "Check method and path: docs/reference/rest.md has all of them.",
    ),
    Code.METHOD_NOT_ALLOWED: _R(
        405, 104, 3501, "never", "Method not allowed", "Use one of the methods in Allow."
    ),
    Code.NOT_ACCEPTABLE: _R(406, 107, 3501, "never", "Not acceptable", "Accept application/json."),
    Code.REQUEST_TIMEOUT: _R(
        408, 100, 3004, "later", "Request timeout", "Send the whole request within 30 s."
    ),
    Code.CONFLICT: _R(409, 107, 3501, "never", "Conflict", "Resolve what detail names, then try again."),
    Code.ALREADY_EXISTS: _R(
        409, 107, 3501, "never", "Already exists", "Use another external_id, or PUT to replace it."
    ),
    Code.IDEMPOTENCY_IN_FLIGHT: _R(
        409,
        111,
        3004,
        "after",
        "Request in progress",
        "Wait for Retry-After, then send the same request again.",
    ),
    Code.EPOCH_CHANGED: _R(
        409,
        112,
        3010,
        "never",
        "Epoch changed",
        "The log was restored or reset: reload the state and start from the range named.",
    ),
    Code.HISTORY_EXPIRED: _R(
        410,
        112,
        3010,
        "never",
        "History expired",
        "Reload the state and start from the oldest position named.",
    ),
    Code.PRECONDITION_FAILED: _R(
        412,
        107,
        3501,
        "never",
        "The resource has changed",
        "Read the resource, apply the change to it, send its new ETag.",
    ),
    Code.PRECONDITION_REQUIRED: _R(
        428, 107, 3501, "never", "Precondition required", "Send If-Match with the resource's ETag."
    ),
    Code.BODY_TOO_LARGE: _R(
        413,
        107,
        1009,
        "never",
        "Body too large",
        "Send less in one request; a document may have 64 KiB, a body 1 MiB.",
    ),
    Code.URI_TOO_LONG: _R(414, 107, 3501, "never", "URI too long", "Keep the URL within 8 KiB."),
    Code.MEDIA_TYPE_UNSUPPORTED: _R(
        415, 107, 3501, "never", "Unsupported media type", "Send Content-Type: application/json."
    ),
    Code.HEADERS_TOO_LARGE: _R(
        431, 107, 3501, "never", "Headers too large", "Keep all headers within 15 KiB and 100 lines."
    ),
    Code.UPGRADE_REQUIRED: _R(
        426, 107, 3501, "never", "Upgrade required", "Ask for a WebSocket of version 13 (RFC 6455)."
    ),
    Code.VALIDATION_FAILED: _R(
        422, 107, 3501, "never", "Validation failed", "Correct the fields listed in errors."
    ),
    Code.IDEMPOTENCY_MISMATCH: _R(
        422, 107, 3501, "never", "Idempotency key reused", "Use a new key for another request."
    ),
    Code.RULE_VIOLATED: _R(422, 107, 3501, "never", "Rule violated", "Correct what detail names."),
    Code.RATE_LIMITED: _R(
        429, 111, 3013, "after", "Too many requests", "Wait for Retry-After, then try again."
    ),
    Code.CONCURRENCY_LIMITED: _R(
        429, 111, 3013, "after", "Too many at once", "Close connections that are not needed, or wait."
    ),
    Code.INTERNAL: _R(
        500,
        100,
        3004,
        "later",
        "Internal error",
        "Try again, a write with the same Idempotency-Key; quote request_id when it stays.",
    ),
    Code.BAD_GATEWAY: _R(
        502, 100, 3004, "later", "Bad gateway", "Try again, a write with the same Idempotency-Key."
    ),
    Code.DEADLINE_EXCEEDED: _R(
        504, 100, 3004, "later", "Deadline exceeded", "Nothing was written; try again."
    ),
    Code.UNAVAILABLE: _R(
        503,
        100,
        3004,
        "later",
        "Unavailable",
        "Try again after a backoff, a write with the same Idempotency-Key.",
    ),
    Code.CAPACITY_REDUCED: _R(
        503,
        111,
        3013,
        "after",
        "Capacity reduced",
        "Wait for Retry-After, then try again, a write with the same Idempotency-Key.",
    ),
    Code.PARTITION_MOVING: _R(
        503,
        100,
        3004,
        "after",
        "Partition moving",
        "Wait for Retry-After, then try again, a write with the same Idempotency-Key.",
    ),
    Code.OUTCOME_UNKNOWN: _R(
        503,
        100,
        3004,
        "later",
        "Outcome unknown",
        "Send the same request with the same Idempotency-Key; the answer tells.",
    ),
    Code.UNKNOWN_CHANNEL: _R(
        404,
        102,
        3501,
        "never",
        "Unknown channel",
        "Use a known namespace, or set unknown_namespaces to allow.",
    ),
    Code.EXPIRED: _R(401, 110, 3005, "never", "Expired", "Connect with a token whose expire_at lies ahead."),
    Code.ALREADY_SUBSCRIBED: _R(
        409,
        105,
        3501,
        "never",
        "Already subscribed",
        "Unsubscribe first; a channel is subscribed once per connection.",
    ),
    Code.LIMIT_EXCEEDED: _R(
        422, 106, 3505, "never", "Limit exceeded", "Use fewer channels on one connection."
    ),
    Code.NOT_AVAILABLE: _R(
        404,
        108,
        3508,
        "never",
        "Not available",
        "Switch it on: an option of the channel's namespace, or for RPC the organization's backend.",
    ),
    Code.UNRECOVERABLE_POSITION: _R(
        410, 112, 3010, "never", "Unrecoverable position", "Reload the state and subscribe from its position."
    ),
    Code.PROTOCOL_VIOLATION: _R(
        400, 107, 3501, "never", "Protocol violation", "Follow docs/protocol.md; the connection was closed."
    ),
}


class TidingsError(Exception):
    """A registered error on its way to a client.

    Args:
        code: the registry's row.
        detail: one sentence about this occurrence; never a stack trace, SQL, internal name or secret. When
            it is empty, the row's title stands in.
        members: further members of the problem document, JSON-ready (`errors`, `required_scope`,
            `retry_after_s`, …).
    """

    def __init__(self, code: Code, detail: str = "", **members: Any) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.members = members

    @property
    def row(self) -> Row:
        """The registry's row of this error."""
        return REGISTRY[self.code]

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail or self.row.title}"


def bad_parameter(name: str, code: str, detail: str) -> TidingsError:
    """Return the refusal of a query parameter's value, with a field code."""
    errors = [{"parameter": name, "code": code, "detail": detail}]
    return TidingsError(Code.VALIDATION_FAILED, f"The parameter {name} is not valid.", errors=errors)
