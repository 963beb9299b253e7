"""Who asks: an organization's options, and the caller acting in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.auth.scopes import allows
from core.auth.token_keys import TokenKeys
from core.auth.tokens import SubClaims
from core.channels.namespace import ChannelRules
from core.instants import Instant


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant and its options.

    `client_publish`: users with a connection token may publish. `anonymous`: connections without any
    credential are let in. `client_insecure`: they are let in and may do everything but enter `$`
    channels, for development. `require_idempotency_key`: a write over REST without a key is refused.
    """

    organization_id: bytes
    name: str
    environment: Literal["live", "test"]
    status: str
    client_publish: bool
    anonymous: bool
    client_insecure: bool
    token_secret: bytes = field(repr=False)
    """Signs connection tokens; opened, so never to be logged or answered."""
    require_idempotency_key: bool = False
    channels: ChannelRules = field(default_factory=ChannelRules)
    token_keys: TokenKeys = field(default=TokenKeys(), repr=False)
    """Verify tokens besides `token_secret`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller inside one organization.

    `id` is the public id of a key, or the user of a token ("" for an anonymous one). A key is judged by
    its scopes; a user by the rules of channels.
    """

    organization_id: bytes
    kind: Literal["key", "user", "anonymous"]
    id: str
    scopes: frozenset[str] = frozenset()
    expires_at: Instant | None = None
    refreshable: bool = False
    """Whether the client itself must bring a new token before `expires_at`, if there is one."""
    info: bytes = b""
    """Raw JSON that other clients see of this connection."""
    channels: tuple[str, ...] = ()
    subs: Mapping[str, SubClaims] = field(default_factory=dict, hash=False)
    """Server-side subscriptions of the token: with terms in `subs`, else by name in `channels`."""
    meta: bytes = b""
    """Raw JSON about the connection that stays on the server."""
    token_id: str = ""
    issued_at: Instant | None = None
    """Of the token; None where it does not say."""

    def allows(self, scope: str) -> bool:
        """Say whether the caller's scopes include `scope`."""
        return allows(self.scopes, scope)
