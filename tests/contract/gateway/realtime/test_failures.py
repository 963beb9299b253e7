"""What a client is told of what went wrong behind its command."""

import pytest

from core.connections.frames import ErrorReply
from core.errors import Code, TidingsError
from gateway.realtime.failures import known, reply_of


@pytest.mark.parametrize(
    ("error", "code", "reply"),
    [
        (TidingsError(Code.PERMISSION_DENIED), Code.PERMISSION_DENIED, 103),
        (TidingsError(Code.UNRECOVERABLE_POSITION), Code.UNRECOVERABLE_POSITION, 112),
        (TidingsError(Code.UNAVAILABLE), Code.UNAVAILABLE, 100),
        (OSError("a socket of ours"), Code.UNAVAILABLE, 100),
        (ConnectionResetError(), Code.UNAVAILABLE, 100),
    ],
)
def test_what_is_registered_is_told_as_it_is_and_the_network_is_ours(
    error: TidingsError | OSError, code: Code, reply: int
) -> None:
    assert known(error).code is code
    assert reply_of(error) == ErrorReply(reply)
