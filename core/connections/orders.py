"""Orders about connections: what an organization's backend or its operator has the replicas do.

An order travels like an ephemeral publication of the kind `ORDER` to every replica that has a connection
of the organization, and each carries it out on the connections that fit. At most once: what must hold for
those who connect later (a revoked token) is stored as well.
"""

from typing import Final

import msgspec

from core.streams.event import Wire

ORDER: Final = "order"
JOINED: Final = "join"
LEFT: Final = "leave"
"""Kinds of `EphemeralPublication`: besides orders, who joined and who left a channel (`info` says who)."""


class Who(Wire, frozen=True):
    """Connections of one user, narrowed to one by `client` or `session`; `spared` clients are not meant.

    With `anybody` the user is not looked at: a client id or a session alone says who.
    """

    user: str
    client: str = ""
    session: str = ""
    spared: frozenset[str] = frozenset()
    """A set, since each connection of the user is looked for in it."""
    anybody: bool = False

    def means(self, user: str, client: str, session: str) -> bool:
        """Say whether a connection is meant."""
        return (
            (self.anybody or self.user == user)
            and self.client in ("", client)
            and self.session in ("", session)
            and client not in self.spared
        )


class Disconnect(Wire, frozen=True, tag="disconnect"):
    """End connections with a code; an empty reason stands for the code's own text.

    `newest`: the client that wants to be its user's only one. Its order does not end those whose own comes
    behind it.
    """

    who: Who
    code: int
    reason: str = ""
    newest: str = ""


class Unsubscribe(Wire, frozen=True, tag="unsubscribe"):
    """End their subscriptions to a channel; with an empty channel to all."""

    who: Who
    channel: str
    code: int


class Subscribe(Wire, frozen=True, tag="subscribe"):
    """Add a server-side subscription.

    `info` and `data` are raw JSON or nothing; `expire_at_s` Unix seconds, 0 for never; `override` is the
    claim of that name as JSON, or nothing; `since_offset` -1: from now on.
    """

    who: Who
    channel: str
    info: bytes = b""
    data: bytes = b""
    since_offset: int = -1
    since_epoch: str = ""
    expire_at_s: int = 0
    override: bytes = b""


class Refresh(Wire, frozen=True, tag="refresh"):
    """Give connections another expiry: at once when `expired`, at `expire_at_s` (Unix), never when that is 0.

    `info` replaces what others see of them, unless it is empty.
    """

    who: Who
    expired: bool = False
    expire_at_s: int = 0
    info: bytes = b""


class Revoke(Wire, frozen=True, tag="revoke"):
    """End connections of tokens issued at `before_s` (Unix seconds) or earlier; it is stored already."""

    who: Who
    before_s: float
    token_id: str = ""
    """Only the token with this `jti`."""


Order = Disconnect | Unsubscribe | Subscribe | Refresh | Revoke

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Order]] = msgspec.msgpack.Decoder(Order)


def encode_order(order: Order) -> bytes:
    """Return an order as the data of an ephemeral publication."""
    return _ENCODER.encode(order)


def decode_order(data: bytes) -> Order:
    """Return the order that `encode_order` made.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _DECODER.decode(data)
