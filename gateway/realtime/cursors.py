"""Methods of RPC that are the server's own: clients say what they have got and read of a channel."""

from typing import Annotated, Final, Literal

import msgspec

from adapters.postgres.cursors import Acknowledgement
from core.auth.access import refusal_to_acknowledge
from core.channels.name import is_text
from core.connections.frames import Reply, Rpc, RpcAnswer
from core.errors import Code, TidingsError
from core.resources.document import INTEGER_MAX
from gateway.realtime.failures import reply_of
from gateway.realtime.participant import Participant

OWN: Final = "tidings."
"""Methods that begin so are the server's; all others are the organization's."""
ACKNOWLEDGE: Final = "tidings.ack"


class _Acknowledge(msgspec.Struct, frozen=True):
    channel: str
    offset: Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
    state: Literal["delivered", "read"] = "read"


class _Acknowledged(msgspec.Struct, frozen=True):
    delivered: int
    read: int
    unread: int


_DECODER: Final = msgspec.json.Decoder(_Acknowledge)
_ENCODER: Final = msgspec.json.Encoder()


async def call_own(client: Participant, command: Rpc) -> None:
    """Answer a method of the server's own."""
    try:
        reply: Reply = RpcAnswer(await _answer(client, command))
    except (TidingsError, OSError) as error:
        reply = reply_of(error)
    client.reply(command.id, reply)


async def _answer(client: Participant, command: Rpc) -> bytes:
    if command.method != ACKNOWLEDGE:
        raise TidingsError(Code.NOT_FOUND)
    try:
        asked = _DECODER.decode(command.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TidingsError(Code.VALIDATION_FAILED) from None
    return _ENCODER.encode(await _acknowledge(client, asked))


async def _acknowledge(client: Participant, asked: _Acknowledge) -> _Acknowledged:
    asking, subscriptions = client.connection.asking, client.connection.subscriptions
    assert asking is not None  # noqa: S101 (only who is connected calls)
    assert subscriptions is not None  # noqa: S101 (the same)
    principal, is_subscribed = asking.principal, subscriptions.grant(asked.channel) is not None
    refusal = refusal_to_acknowledge(
        principal, asking.organization, asked.channel, asking.types, is_subscribed=is_subscribed
    )
    if refusal is None and not is_text(principal.id):
        refusal = Code.VALIDATION_FAILED  # a user whose name has no place in the database
    if refusal is not None:
        raise TidingsError(refusal)
    read = asked.offset if asked.state == "read" else 0
    acknowledgement = Acknowledgement(
        principal.organization_id, asked.channel, principal.id, asked.offset, read
    )
    cursor = await client.replica.cursors.acknowledge(acknowledgement)
    if cursor is None:
        raise TidingsError(Code.VALIDATION_FAILED)
    return _Acknowledged(cursor.delivered_offset, cursor.read_offset, cursor.unread)
