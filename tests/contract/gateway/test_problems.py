"""Errors as clients of HTTP see them: whole documents, and nothing that is nobody's business."""

from typing import Any

import pytest

from core.errors import REGISTRY, Code, TidingsError
from core.ids import encode
from core.streams.outcome import FieldError, Refused, Unknown
from gateway.problems import ERRORS_MAX, error_of, headers_of, problem_of

ORIGIN = "https://example.org"
REQUEST = encode("req", bytes(range(16)))


def document(error: TidingsError) -> dict[str, Any]:
    return problem_of(error, request_id=REQUEST, origin=ORIGIN)


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_whole_document(code: Code) -> None:
    problem = document(TidingsError(code))
    row = REGISTRY[code]
    assert (problem["status"], problem["title"], problem["retry"]) == (row.status, row.title, row.retry)
    assert (problem["code"], problem["detail"]) == (code.value, row.advice)
    assert problem["doc_url"] == f"{ORIGIN}/problems/{code.value}"
    assert (problem["request_id"], problem["instance"]) == (
        REQUEST,
        "urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f",
    )


def test_what_happened_inside_is_not_told() -> None:
    assert document(TidingsError(Code.INTERNAL, "secret"))["detail"] == REGISTRY[Code.INTERNAL].advice
    assert document(TidingsError(Code.UNAVAILABLE, "secret"))["detail"] == REGISTRY[Code.UNAVAILABLE].advice
    assert document(TidingsError(Code.CONFLICT, "yours"))["detail"] == "yours"


def test_a_problem_inside_of_an_answer_names_no_request() -> None:
    problem = problem_of(TidingsError(Code.NOT_FOUND), origin=ORIGIN)
    assert {"instance", "request_id"}.isdisjoint(problem)


def test_what_became_a_header_stands_not_in_the_document() -> None:
    error = TidingsError(Code.CAPACITY_REDUCED, retry_after_s=7, version=3, replayed=True, allow="GET")
    assert headers_of(error) == {
        "Retry-After": "7", "Allow": "GET", "ETag": '"r3"', "Idempotent-Replayed": "true",
    }  # fmt: skip
    assert {"retry_after_s", "version", "replayed", "allow"}.isdisjoint(document(error))


def test_a_refusal_that_is_told_again_names_the_request_that_was_refused_first() -> None:
    first = bytes(range(16, 32))
    error = TidingsError(Code.CONFLICT, replayed=True, first_request_id=first)
    assert document(error)["request_id"] == encode("req", first)


@pytest.mark.parametrize(
    ("code", "header"),
    [
        (Code.UNAUTHENTICATED, 'Bearer realm="tidings"'),
        (Code.CREDENTIAL_INVALID, 'Bearer realm="tidings", error="invalid_token"'),
        (Code.CREDENTIAL_EXPIRED, 'Bearer realm="tidings", error="invalid_token"'),
    ],
)
def test_who_is_not_let_in_learns_how(code: Code, header: str) -> None:
    assert headers_of(TidingsError(code))["WWW-Authenticate"] == header


def test_only_so_many_errors_are_listed() -> None:
    errors = [{"pointer": f"#/{number}"} for number in range(ERRORS_MAX + 5)]
    assert document(TidingsError(Code.VALIDATION_FAILED, errors=errors))["errors"] == errors[:ERRORS_MAX]


def test_an_unknown_outcome_is_told_as_one() -> None:
    assert error_of(Unknown()).code is Code.OUTCOME_UNKNOWN


def test_a_refusal_keeps_its_code_its_fields_and_its_version() -> None:
    fields = (FieldError("#/name", "required", "Missing."),)
    error = error_of(Refused(Code.PRECONDITION_FAILED.value, "changed", errors=fields, version=4))
    assert (error.code, error.detail) == (Code.PRECONDITION_FAILED, "changed")
    assert error.members["errors"] == [{"pointer": "#/name", "code": "required", "detail": "Missing."}]
    assert headers_of(error)["ETag"] == '"r4"'


@pytest.mark.parametrize(
    ("code", "told"),
    [(Code.ALREADY_EXISTS, "duplicate"), (Code.NOT_FOUND, "not_found"), (Code.CONFLICT, "not_allowed")],
)
def test_one_item_refuses_an_atomic_batch_with_a_pointer_to_it(code: Code, told: str) -> None:
    error = error_of(Refused(code.value, index=2))
    assert error.code is Code.VALIDATION_FAILED
    (field,) = error.members["errors"]
    assert (field["pointer"], field["code"]) == ("#/items/2", told)
