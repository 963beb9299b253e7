"""A call of `POST /emulation`: the commands of a client that can only read on its connection."""

from dataclasses import dataclass

import msgspec
from google.protobuf.message import DecodeError

from core.connections.client_pb2 import EmulationRequest
from core.connections.codec import ProtocolError


@dataclass(frozen=True, slots=True)
class EmulationCall:
    """Commands for a session; `node` names the replica that holds it. `data` is as a frame would hold it."""

    node: str
    session: str
    data: bytes


class _Call(msgspec.Struct):
    session: str
    node: str
    data: str


_JSON = msgspec.json.Decoder(_Call)


def read_call(body: bytes, *, is_protobuf: bool) -> EmulationCall:
    """Return what a body says; unknown fields are ignored.

    Raises:
        ProtocolError: it is no call, or a part is missing.
    """
    try:
        call = EmulationRequest.FromString(body) if is_protobuf else _JSON.decode(body)
    except (DecodeError, msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError from None
    data = call.data.encode() if isinstance(call.data, str) else call.data
    if not (call.node and call.session and data):
        raise ProtocolError
    return EmulationCall(call.node, call.session, data)
