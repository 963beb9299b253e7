"""The machine's chance: ids, secrets and jitter."""

import random
import secrets

import uuid_utils


class SystemEntropy:
    """Satisfies `core.ports.Entropy` with the operating system's randomness."""

    def id(self) -> bytes:
        """Return a UUIDv7, monotonic within the process."""
        return uuid_utils.uuid7().bytes

    def token(self, size_bytes: int) -> bytes:
        """Return bytes fit for secrets."""
        return secrets.token_bytes(size_bytes)

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()  # noqa: S311 (spreads load; guards no secret)
