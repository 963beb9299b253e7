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


class Revocations:
    """Those of one organization, to be asked about each of its connections: what they cost does not grow."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._before: dict[tuple[str, str], Instant] = {}
        for one in revocations:
            key = one.user, one.token_id
            self._before[key] = max(one.before, self._before.get(key, one.before))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revocations) and self._before == other._before

    __hash__ = None  # type: ignore[assignment]  # nobody keeps them in a set

    def mean(self, user: str, token_id: str, issued_at: Instant | None) -> bool:
        """Say whether one of them means a token."""
        before = self._before.get((user, ""))
        if before is not None and (issued_at is None or issued_at <= before):
            return True
        return bool(token_id) and (user, token_id) in self._before
