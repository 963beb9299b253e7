"""The registry is closed and complete."""

import pytest

from core.errors import REGISTRY, Code, TidingsError


def test_every_code_has_its_row() -> None:
    assert set(REGISTRY) == set(Code)


@pytest.mark.parametrize("code", list(Code), ids=lambda code: str(code.value))
def test_a_row_keeps_the_ranges_of_both_protocols(code: Code) -> None:
    row = REGISTRY[code]
    assert 400 <= row.status < 600
    assert 100 <= row.realtime <= 113
    assert row.close == 1009 or 3000 <= row.close < 4000
    assert row.advice.endswith(".")


@pytest.mark.parametrize("code", list(Code), ids=lambda code: str(code.value))
def test_what_may_succeed_later_lets_the_client_reconnect(code: Code) -> None:
    row = REGISTRY[code]
    if row.retry != "never":
        assert 3000 <= row.close < 3500


def test_an_error_speaks_by_its_detail_or_its_title() -> None:
    assert str(TidingsError(Code.CONFLICT)) == "conflict: Conflict"
    assert str(TidingsError(Code.CONFLICT, "msg_1 refers to it.")) == "conflict: msg_1 refers to it."
    assert TidingsError(Code.CONFLICT, "", version=3).members == {"version": 3}
