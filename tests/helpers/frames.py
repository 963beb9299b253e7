"""A peer of plain bytes for a WebSocket server: sends what no library would, and tells what comes back."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
CONTROLS: Final = {"close": CLOSE, "ping": PING, "pong": PONG}
OPCODES: Final = {"continuation": CONTINUATION, "text": TEXT, "binary": BINARY, **CONTROLS}

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ANSWER_S: Final = 5.0


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """Return one frame of a client, right or wrong.

    Args:
        rsv: the three reserved bits as a number, RSV1 the highest.
        mask: None for a frame without.
        length: to declare, if it is not that of the payload.
        length_bytes: 0, 2 or 8: where the length stands, if not where it belongs.
    """
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size <= 125 else 2 if size <= 0xFFFF else 8
    marker = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | marker))
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if mask is None:
        return head + payload
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + mask + covered


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


class Heard(NamedTuple):
    """A frame of the server; `fin` and the reserved bits are in `first`."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0xF

    @property
    def code(self) -> int:
        """The code of a close frame; 0: none."""
        return int.from_bytes(self.payload[:2], "big")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server made of a handshake."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """One TCP connection to the server. Blocks, so the server runs in another thread or process."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, *segments: bytes) -> None:
        """Send bytes, each segment by a call of its own."""
        for segment in segments:
            self._socket.sendall(segment)

    def end(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def ask(self, raw: bytes) -> Answer:
        """Send a request as it stands and return its answer; the body, if the server ends with it."""
        self.send(raw)
        head, _, rest = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        fields = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in fields}
        self._unread = rest
        size = int(headers.get("content-length", 0))
        return Answer(int(status.split()[1]), headers, self._exactly(size))

    def upgrade(self, path: str = "/connection/websocket", **headers: str) -> Answer:
        """Ask for a socket; names of headers have `_` for `-`."""
        return self.ask(request(path, headers))

    def hear(self) -> Heard:
        """Return the next frame.

        Raises:
            EOFError: the server has ended the connection.
        """
        first, second = self._exactly(2)
        assert not second & 0x80, "a server masks nothing"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return Heard(first, self._exactly(size))

    def rest(self, *, answers: bool = False) -> Iterator[Heard]:
        """Yield frames until the server ends the connection; with `answers` it gets its close frame back."""
        try:
            while True:
                heard = self.hear()
                yield heard
                if answers and heard.opcode == CLOSE:
                    self.send(close(heard.code))
        except EOFError:
            assert not self._unread, "the last frame is cut"

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._receive()
        return self._unread

    def _receive(self) -> None:
        received = self._socket.recv(65_536)
        if not received:
            raise EOFError
        self._unread += received


def request(path: str, headers: Mapping[str, str], *, start: str = "GET {} HTTP/1.1") -> bytes:
    """Return the request for a socket with other or more headers; an empty text leaves one out."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([start.format(path), *lines, "", ""]).encode()
