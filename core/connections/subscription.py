"""What one subscription may and does."""

from dataclasses import dataclass

from core.channels.filter import FilterNode
from core.channels.namespace import Options


@dataclass(frozen=True, slots=True)
class Grant:
    """The terms of a subscription. Alike ones are one object: most of a connection's memory is these.

    Attributes:
        options: of the channel's namespace when it was subscribed.
        is_server_side: the client did not ask for it; it ends with the connection alone.
        presence: the subscriber is listed among those who are there.
        announces: its joining and leaving are told.
        hears: it is told of the joining and leaving of others.
        recoverable: it may go on from a position.
        delta: payloads come in the form that delta wants.
        info: raw JSON that others see of this subscriber, or nothing.
        filter: only publications whose tags match.
        max_rate: publications a second, the latest of each key; 0: all.
        is_renewable: its client brings new tokens for it.
    """

    options: Options
    is_server_side: bool = False
    presence: bool = False
    announces: bool = False
    hears: bool = False
    recoverable: bool = False
    delta: bool = False
    info: bytes = b""
    filter: FilterNode | None = None
    max_rate: float = 0.0
    is_renewable: bool = False

    @property
    def has_witnesses(self) -> bool:
        """Whether others must be told of its beginning and its end."""
        return self.presence or self.announces


class Grants:
    """Grants of one process: alike ones are the same object.

    Args:
        kept_max: with one more the oldest is forgotten.
    """

    def __init__(self, kept_max: int) -> None:
        self._kept: dict[Grant, Grant] = {}
        self._kept_max = kept_max

    def shared(self, grant: Grant) -> Grant:
        """Return the grant that stands for all alike ones."""
        if grant.info or grant.filter is not None or grant.max_rate:
            return grant  # of one subscriber, who says what he wants
        known = self._kept.get(grant)
        if known is not None:
            return known
        self._kept[grant] = grant
        if len(self._kept) > self._kept_max:
            del self._kept[next(iter(self._kept))]
        return grant
