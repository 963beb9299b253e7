"""How both ends of a link prove the cluster key before anything else is said.

The caller opens with a nonce and its process name; the owner answers with a nonce, its name and its proof;
the caller answers with its own. A proof is an HMAC-SHA256 over both nonces, the side that speaks, the
owner's name and the process, so that it cannot be replayed on another connection, sent back to its maker,
or come from another owner on a reused port. No clock takes part.
"""

import hashlib
import hmac
from typing import Final, Literal, TypeVar

import msgspec

from core.streams.event import Wire

NONCE_BYTES: Final = 32
KEY_BYTES_MIN: Final = 32
NAME_CHARACTERS_MAX: Final = 255
FRAME_BYTES_MAX: Final = 2_048
"""An opening frame is a few hundred bytes; a longer one is not decoded."""
VERSION: Final = 1

Side = Literal["owner", "caller"]
T = TypeVar("T", bound=Wire)


class Hello(Wire, frozen=True, tag="hello"):
    """The caller's opening."""

    version: int
    nonce: bytes
    process: str


class Challenge(Wire, frozen=True, tag="challenge"):
    """The owner's answer, which proves its key and its name."""

    version: int
    nonce: bytes
    owner: str
    proof: bytes


class Proof(Wire, frozen=True, tag="proof"):
    """The caller's proof; commands may follow in the next frame."""

    proof: bytes


class HandshakeError(Exception):
    """The other end is not who it should be.

    Args:
        reason: for the log; names no secret.
        impostor: another owner listens there, so the one sought is gone.
    """

    def __init__(self, reason: str, *, impostor: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.impostor = impostor


_ENCODER: Final = msgspec.msgpack.Encoder()
_HELLO: Final = msgspec.msgpack.Decoder(Hello)
_CHALLENGE: Final = msgspec.msgpack.Decoder(Challenge)
_PROOF: Final = msgspec.msgpack.Decoder(Proof)


def prove(key: bytes, side: Side, caller_nonce: bytes, owner_nonce: bytes, owner: str, process: str) -> bytes:
    """Return the 32 bytes that only a holder of `key` can make for this connection and side.

    Raises:
        ValueError: the key is shorter than 32 bytes.
    """
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"a cluster key has at least {KEY_BYTES_MIN} bytes")
    # msgpack gives each part its length: no two different lists of parts have the same bytes.
    said = _ENCODER.encode((side, caller_nonce, owner_nonce, owner, process))
    return hmac.digest(key, said, hashlib.sha256)


class CallerHandshake:
    """The caller's half: send `opening()`, give the answer to `answer()`, send what that returns.

    Args:
        key: the cluster key.
        nonce: 32 fresh random bytes.
        owner: the name that the other end must prove.
        process: the caller's own name.
    """

    def __init__(self, key: bytes, nonce: bytes, owner: str, process: str) -> None:
        self._key = key
        self._nonce = nonce
        self._owner = owner
        self._process = process

    def opening(self) -> bytes:
        """Return the first frame."""
        return _ENCODER.encode(Hello(VERSION, self._nonce, self._process))

    def answer(self, frame: bytes) -> bytes:
        """Return the second frame of the caller; after it the link is open.

        Raises:
            HandshakeError: not the owner sought, or no holder of the key.
        """
        challenge = _decode(_CHALLENGE, frame)
        if challenge.owner != self._owner:
            raise HandshakeError("another owner listens there", impostor=True)
        nonces = (self._nonce, challenge.nonce)
        expected = prove(self._key, "owner", *nonces, self._owner, self._process)
        if not hmac.compare_digest(expected, challenge.proof):
            raise HandshakeError("the owner does not hold the cluster key")
        return _ENCODER.encode(Proof(prove(self._key, "caller", *nonces, self._owner, self._process)))


class OwnerHandshake:
    """The owner's half: give each frame to `receive()`; bytes are to be sent, a name ends the handshake.

    Args:
        key: the cluster key.
        nonce: 32 fresh random bytes.
        owner: the owner's name.
    """

    def __init__(self, key: bytes, nonce: bytes, owner: str) -> None:
        self._key = key
        self._nonce = nonce
        self._owner = owner
        self._hello: Hello | None = None

    def receive(self, frame: bytes) -> bytes | str:
        """Take the caller's next frame: return the answer to the first, and the process name for the second.

        Raises:
            HandshakeError: malformed, of another version, or no holder of the key.
        """
        if self._hello is None:
            return self._challenge(_decode(_HELLO, frame))
        return self._admit(self._hello, _decode(_PROOF, frame))

    def _challenge(self, hello: Hello) -> bytes:
        if hello.version != VERSION:
            raise HandshakeError(f"version {hello.version} of links is not spoken here")
        if len(hello.nonce) != NONCE_BYTES or not 0 < len(hello.process) <= NAME_CHARACTERS_MAX:
            raise HandshakeError("the opening is malformed")
        self._hello = hello
        proof = prove(self._key, "owner", hello.nonce, self._nonce, self._owner, hello.process)
        return _ENCODER.encode(Challenge(VERSION, self._nonce, self._owner, proof))

    def _admit(self, hello: Hello, proof: Proof) -> str:
        expected = prove(self._key, "caller", hello.nonce, self._nonce, self._owner, hello.process)
        if not hmac.compare_digest(expected, proof.proof):
            raise HandshakeError("the caller does not hold the cluster key")
        return hello.process


def _decode(decoder: msgspec.msgpack.Decoder[T], frame: bytes) -> T:
    if len(frame) > FRAME_BYTES_MAX:
        raise HandshakeError("the opening is too long")
    try:
        return decoder.decode(frame)
    except msgspec.DecodeError as error:
        raise HandshakeError("the opening is malformed") from error
