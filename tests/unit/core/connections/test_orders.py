"""Orders cross process borders whole, and say exactly which connections they mean."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.connections.orders import (
    JOINED,
    LEFT,
    ORDER,
    Disconnect,
    Order,
    Refresh,
    Revoke,
    Subscribe,
    Unsubscribe,
    Who,
    decode_order,
    encode_order,
)

NAMES = st.text(max_size=9)
SECONDS = st.integers(0, 2**53 - 1)
WHO = st.builds(Who, NAMES, NAMES, NAMES, st.frozensets(NAMES, max_size=3), st.booleans())
ORDERS = st.one_of(
    st.builds(Disconnect, WHO, st.integers(3000, 4999), NAMES),
    st.builds(Unsubscribe, WHO, NAMES, st.integers(2000, 2999)),
    st.builds(
        Subscribe, WHO, NAMES, st.binary(), st.binary(), st.integers(-1, 9), NAMES, SECONDS, st.binary()
    ),
    st.builds(Refresh, WHO, st.booleans(), SECONDS, st.binary()),
    st.builds(Revoke, WHO, st.floats(0, 2**33), NAMES),
)


@given(ORDERS)
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    assert decode_order(encode_order(order)) == order


def test_every_kind_of_order_has_a_name_of_its_own() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(Order)}
    assert tags == {"disconnect", "unsubscribe", "subscribe", "refresh", "revoke"}
    assert len({ORDER, JOINED, LEFT, ""}) == 4


@pytest.mark.parametrize("data", [b"", b"{}", b"\xc1", msgspec.msgpack.encode(["unheard", ["ann"]])])
def test_what_is_no_order_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_order(data)


def test_what_an_older_sender_did_not_know_takes_its_default() -> None:
    sent = msgspec.msgpack.encode(["subscribe", ["ann"], "room:a"])
    assert decode_order(sent) == Subscribe(Who("ann"), "room:a")
    assert decode_order(sent) == Subscribe(Who("ann"), "room:a", since_offset=-1, expire_at_s=0)


@pytest.mark.parametrize(
    ("who", "is_meant"),
    [
        (Who("ann"), True),
        (Who("ann", client="c-1", session="s-1"), True),
        (Who("bob"), False),
        (Who(""), False),
        (Who("ann", client="c-2"), False),
        (Who("ann", session="s-2"), False),
        (Who("ann", spared=frozenset({"c-2", "c-1"})), False),
        (Who("ann", spared=frozenset({"c-2"})), True),
        (Who("", client="c-1", anybody=True), True),
        (Who("bob", session="s-1", anybody=True), True),
        (Who("", client="c-2", anybody=True), False),
    ],
)
def test_connections_of_one_user_are_meant_or_the_one_that_is_named(who: Who, *, is_meant: bool) -> None:
    assert who.means("ann", "c-1", "s-1") is is_meant
