"""Overrides: what is not said stays as the channel has it."""

import pytest

from core.auth.override import NOTHING, Override, OverrideClaim, override_of, read_override
from core.errors import Code, TidingsError


def test_what_is_said_is_changed_and_the_rest_stays() -> None:
    raw = b'{"presence":{"value":true},"join_leave":{"value":false},"force_recovery":null,"other":1}'
    assert read_override(raw) == Override(presence=True, join_leave=False)
    names = ("presence", "join_leave", "force_recovery", "force_positioning", "force_push_join_leave")
    for name in names:
        assert read_override(b'{"%b":{"value":true}}' % name.encode()) == Override(**{name: True})


@pytest.mark.parametrize("raw", [b"", b"null", b"{}"])
def test_nothing_changes_nothing(raw: bytes) -> None:
    assert read_override(raw) == NOTHING
    assert override_of(None) == override_of(OverrideClaim()) == NOTHING


def test_an_option_without_a_value_is_off() -> None:
    assert read_override(b'{"presence":{}}') == Override(presence=False)


@pytest.mark.parametrize(
    "raw", [b"[]", b"{", b'{"presence":true}', b'{"presence":{"value":1}}', b'{"x":' + b"[" * 5_000]
)
def test_what_is_no_override_is_refused(raw: bytes) -> None:
    with pytest.raises(TidingsError) as caught:
        read_override(raw)
    assert caught.value.code is Code.MALFORMED_REQUEST
