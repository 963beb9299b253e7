"""Whole messages out of the frames of one socket (RFC 6455 §5.4 and §8.1, RFC 7692 §6.2).

picows parses frames and refuses those whose header is wrong in itself; what only a sequence of frames can
do wrong is refused here.
"""

from typing import Final

from gateway.realtime.compression import InflationError, inflate

TEXT: Final = 0x1
BINARY: Final = 0x2

PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009

NO_EXTENSION: Final = "no extension was negotiated"
NO_TEXT: Final = "invalid UTF-8"
TOO_BIG: Final = "message too big"


class ViolationError(Exception):
    """The peer broke RFC 6455: the connection ends at once, with a close frame that says how."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Incoming:
    """What a socket has received of a message that is not whole yet.

    Args:
        bytes_max: of one message; a longer one ends the connection.
        unpacked_bytes_max: of one that was compressed; 0: none may be.
    """

    __slots__ = ("_begun", "_bytes_max", "_is_packed", "_opcode", "_unpacked_bytes_max")

    def __init__(self, bytes_max: int, unpacked_bytes_max: int = 0) -> None:
        self._bytes_max = bytes_max
        self._unpacked_bytes_max = unpacked_bytes_max
        self._opcode = 0
        self._is_packed = False
        self._begun: bytearray | None = None

    def begin(self, opcode: int, payload: bytes, *, fin: bool, is_packed: bool) -> bytes | None:
        """Take the first frame of a message; return the message if it is its last one, too.

        Raises:
            ViolationError: the message before it is not whole, or this one is not what it says it is.
        """
        if self._begun is not None:
            raise ViolationError(PROTOCOL_ERROR, "a message began within another")
        if is_packed and not self._unpacked_bytes_max:
            raise ViolationError(PROTOCOL_ERROR, NO_EXTENSION)
        self._opcode, self._is_packed = opcode, is_packed
        if fin:
            return self._whole(payload)
        self._begun = bytearray(payload)
        return None

    def go_on(self, payload: bytes, *, fin: bool) -> bytes | None:
        """Take a frame that continues a message; return the message if it is its last one.

        Raises:
            ViolationError: there is nothing to continue, or the message is too long, or not what it said.
        """
        begun = self._begun
        if begun is None:
            raise ViolationError(PROTOCOL_ERROR, "nothing to continue")
        if len(begun) + len(payload) > self._bytes_max:
            raise ViolationError(MESSAGE_TOO_BIG, TOO_BIG)
        begun += payload
        if not fin:
            return None
        self._begun = None
        return self._whole(bytes(begun))

    def _whole(self, payload: bytes) -> bytes:
        message = self._unpacked(payload) if self._is_packed else payload
        if self._opcode == TEXT and not is_text(message):
            raise ViolationError(INVALID_DATA, NO_TEXT)
        return message

    def _unpacked(self, payload: bytes) -> bytes:
        try:
            message = inflate(payload, self._unpacked_bytes_max)
        except InflationError:
            raise ViolationError(INVALID_DATA, "not compressed") from None
        if message is None:
            raise ViolationError(MESSAGE_TOO_BIG, TOO_BIG)
        return message


def is_text(payload: bytes) -> bool:
    """Whether the bytes are UTF-8 (RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF)."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def answer_to(payload: bytes) -> int:
    """Return the code that answers a close frame: the peer's own, 1000 if it gave none.

    Raises:
        ViolationError: the code is none that may stand in a close frame, or the reason is no text.

    Source: RFC 6455 §5.5.1 and §7.4, and IANA's registry of close codes.
    """
    if not payload:
        return 1000
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CODES or 3000 <= code <= 4999):  # noqa: PLR2004  # §7.4.2
        raise ViolationError(PROTOCOL_ERROR, "no code of a close frame")
    if not is_text(payload[2:]):
        raise ViolationError(INVALID_DATA, NO_TEXT)
    return code


# 1004, 1005, 1006 and 1015 never stand in a frame.
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
