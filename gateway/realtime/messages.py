"""Whole messages out of the frames of one socket (RFC 6455 §5.4 and §8.1).

picows parses frames and refuses those whose header is wrong in itself; what only a sequence of frames can
do wrong is refused here.
"""

from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2

PROTOCOL_ERROR: Final = 1002
INVALID_TEXT: Final = 1007
MESSAGE_TOO_BIG: Final = 1009


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
    """

    __slots__ = ("_begun", "_bytes_max", "_opcode")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._opcode = 0
        self._begun: bytearray | None = None

    def begin(self, opcode: int, payload: bytes, *, fin: bool) -> bytes | None:
        """Take the first frame of a message; return the message if it is its last one, too.

        Raises:
            ViolationError: the message before it is not whole, or this one is no text.
        """
        if self._begun is not None:
            raise ViolationError(PROTOCOL_ERROR, "a message began within another")
        if fin:
            return self._whole(opcode, payload)
        self._opcode, self._begun = opcode, bytearray(payload)
        return None

    def go_on(self, payload: bytes, *, fin: bool) -> bytes | None:
        """Take a frame that continues a message; return the message if it is its last one.

        Raises:
            ViolationError: there is nothing to continue, or the message is too long or no text.
        """
        begun = self._begun
        if begun is None:
            raise ViolationError(PROTOCOL_ERROR, "nothing to continue")
        if len(begun) + len(payload) > self._bytes_max:
            raise ViolationError(MESSAGE_TOO_BIG, "message too big")
        begun += payload
        if not fin:
            return None
        self._begun = None
        return self._whole(self._opcode, bytes(begun))

    def _whole(self, opcode: int, message: bytes) -> bytes:
        if opcode == TEXT and not is_text(message):
            raise ViolationError(INVALID_TEXT, "invalid UTF-8")
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
        raise ViolationError(INVALID_TEXT, "invalid UTF-8")
    return code


# 1004, 1005, 1006 and 1015 never stand in a frame.
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
