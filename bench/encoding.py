"""Both encodings of the protocol, as far as a load speaks them: commands, and which of them were answered."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar, Protocol

from google.protobuf.json_format import ParseDict
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed

from core.connections import client_pb2

Command = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """To one command: its id, and the code of its error; 0: it was carried out."""

    id: int
    error: int


class Encoding(Protocol):
    """`ping` and `pong` are whole frames, as they come from the server and go to it.

    `sign` is a byte of a ping that stands nearly nowhere else.
    """

    name: ClassVar[str]
    subprotocol: ClassVar[str]
    opcode: ClassVar[int]
    ping: ClassVar[bytes]
    sign: ClassVar[bytes]
    pong: ClassVar[bytes]

    def payload(self, commands: Sequence[Command]) -> bytes:
        """Return the payload of one frame that holds these commands, named as in JSON."""
        ...

    def answers(self, payload: bytes) -> Iterator[Answer]:
        """Yield the answers in the payload of one frame; pushes and pings are passed over."""
        ...


class Json:
    """Text frames, one object a line."""

    name: ClassVar = "JSON"
    subprotocol: ClassVar = ""
    opcode: ClassVar = 0x81
    ping: ClassVar = b"\x81\x02{}"
    sign: ClassVar = b"\x02"
    pong: ClassVar = b"\x81\x82\0\0\0\0{}"

    def payload(self, commands: Sequence[Command]) -> bytes:
        """Return the commands, one a line."""
        return "\n".join(json.dumps(command, separators=(",", ":")) for command in commands).encode()

    def answers(self, payload: bytes) -> Iterator[Answer]:
        """Yield what bears an id."""
        for line in payload.split(b"\n"):
            if line.startswith(b'{"id":'):
                message = json.loads(line)
                yield Answer(message["id"], message.get("error", {}).get("code", 0))


class Protobuf:
    """Binary frames, each message behind its length."""

    name: ClassVar = "protobuf"
    subprotocol: ClassVar = "centrifuge-protobuf"
    opcode: ClassVar = 0x82
    ping: ClassVar = b"\x82\x01\0"
    sign: ClassVar = b"\0"
    pong: ClassVar = b"\x82\x81\0\0\0\0\0"

    def payload(self, commands: Sequence[Command]) -> bytes:
        """Return the commands one after the other."""
        out = BytesIO()
        for command in commands:
            serialize_length_prefixed(ParseDict(dict(command), client_pb2.Command()), out)
        return out.getvalue()

    def answers(self, payload: bytes) -> Iterator[Answer]:
        """Yield what bears an id."""
        read = BytesIO(payload)
        while (message := parse_length_prefixed(client_pb2.Reply, read)) is not None:
            if message.id:
                yield Answer(message.id, message.error.code)


JSON: Encoding = Json()
PROTOBUF: Encoding = Protobuf()
