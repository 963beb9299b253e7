"""Secrets at rest: AES-256-GCM under a key of the installation, bound to the place where they stand.

Layout: `0x01 | key id (16) | nonce (12, random) | ciphertext | tag (16)`. The key id is the first 16
bytes of SHA-256("tidings-kek" and the key). Table, column, organization and row are authenticated, so a
value that was moved does not open.
"""

import hmac
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.ports import Entropy

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_KEY_ID: Final = slice(1, 17)
_NONCE: Final = slice(17, 29)


class SealingError(Exception):
    """A secret can't be opened or the key file can't be used; the message says what to do."""


def read_key(file: Path) -> bytes:
    """Return the key in a key file.

    Raises:
        SealingError: missing, of another size, or readable by others.
    """
    try:
        mode, key = file.stat().st_mode, file.read_bytes()
    except OSError as error:
        raise SealingError(
            f"The key file {file} can't be read ({error.strerror}): restore it from its backup."
        ) from None
    if len(key) != KEY_BYTES:
        raise SealingError(f"The key file {file} must hold {KEY_BYTES} bytes: restore it from its backup.")
    if mode & 0o077:
        raise SealingError(f"The key file {file} can be read by others: run `chmod 600 {file}`.")
    return key


def ensure_key(file: Path, entropy: Entropy) -> bool:
    """Make a key file that only its owner can read; False: there is one already.

    It has its name only when it is whole: a crash leaves no file that would be taken for a key.
    """
    if file.exists():
        return False
    whole = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(entropy.token(KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        os.link(whole, file)
    except FileExistsError:
        return False  # made by another process meanwhile
    finally:
        whole.unlink()
    return True


class Sealer:
    """Seals and opens secrets under one key."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        self._cipher = AESGCM(key)
        self._key_id = sha256(b"tidings-kek" + key).digest()[:16]
        self._marks = sha256(b"tidings-marks" + key).digest()
        self._entropy = entropy

    def mark(self, secret: bytes) -> bytes:
        """Return 32 bytes by which a secret of somebody else's making is found again.

        They need the key to be guessed from, however short the secret is.
        """
        return hmac.digest(self._marks, secret, sha256)

    def seal(self, secret: bytes, place: tuple[bytes, ...]) -> bytes:
        """Return `secret` sealed for its place: organization, table, column, row."""
        header = _VERSION + self._key_id
        nonce = self._entropy.token(NONCE_BYTES)
        return header + nonce + self._cipher.encrypt(nonce, secret, _bound(header, place))

    def open(self, sealed: bytes, place: tuple[bytes, ...]) -> bytes:
        """Return the secret.

        Raises:
            SealingError: another key sealed it, or it was moved, cut or changed.
        """
        if sealed[:1] != _VERSION or sealed[_KEY_ID] != self._key_id:
            raise SealingError(
                "A secret was sealed with another key file: restore the one that belongs to this database."
            )
        try:
            return self._cipher.decrypt(
                sealed[_NONCE], sealed[_NONCE.stop :], _bound(sealed[: _NONCE.start], place)
            )
        except (InvalidTag, ValueError):  # ValueError: too short to be anything
            raise SealingError("A sealed secret was changed in the database.") from None


def _bound(header: bytes, place: tuple[bytes, ...]) -> bytes:
    return header + b"".join(len(part).to_bytes(2, "big") + part for part in place)
