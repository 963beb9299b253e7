"""Tokens that are taken back before they expire."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.instants import Instant


@dataclass(frozen=True, slots=True)
class Revocation:
    """Takes back a user's tokens issued at `before` or earlier; with a `token_id`, that one whenever issued.

    A token that does not say when it was issued may have been at any time, so it is meant, too.
    """

    user: str
    before: Instant
    token_id: str = ""

    def means(self, user: str, token_id: str, issued_at: Instant | None) -> bool:
        """Say whether a token is taken back."""
        if user != self.user:
            return False
        if self.token_id:
            return token_id == self.token_id
        return issued_at is None or issued_at <= self.before


def is_revoked(
    revocations: Iterable[Revocation], user: str, token_id: str, issued_at: Instant | None
) -> bool:
    """Say whether one of the revocations means a token."""
    return any(revocation.means(user, token_id, issued_at) for revocation in revocations)
