"""Whether those who are in may stay, and by which options: what was written since holds for them, too.

Orders make it quicker; this makes it certain, whatever word was lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from core.auth.principal import Organization, Principal
from core.auth.revocation import Revocations
from core.connections.codes import INVALID_TOKEN
from core.errors import Code, TidingsError
from gateway.auth import Authenticator
from gateway.realtime.clients import Clients
from gateway.realtime.feed import Feed


@dataclass(frozen=True, slots=True)
class _Known:
    """What is written about one organization."""

    organization: Organization
    revocations: Revocations
    dead_keys: frozenset[str]


class Standing:
    """Of all clients of a replica; costs next to nothing while nothing changes.

    Args:
        clients: those who are in.
        authenticator: knows what is written, as of a second ago.
    """

    def __init__(self, clients: Clients, authenticator: Authenticator) -> None:
        self._clients = clients
        self._authenticator = authenticator
        self._known: dict[bytes, _Known] = {}
        self._journal = structlog.get_logger()

    async def look(self, feeds: Sequence[Feed]) -> None:
        """See what changed about the organizations of these feeds, and let it hold for their clients."""
        known = self._known
        self._known = {}
        for feed in feeds:
            before = known.get(feed.organization_id)
            try:
                now = await self._read(feed)
            except TidingsError as error:
                if error.code in (Code.ORGANIZATION_SUSPENDED, Code.CREDENTIAL_INVALID):
                    self._end_all(feed, error.row.close)
                elif before is not None:
                    self._known[feed.organization_id] = before
                    self._journal.warning("organization.unread", error=str(error))
                continue
            except Exception:  # noqa: BLE001 (logged whole: what one has stored must not shield all others)
                self._journal.exception("organization.unread", organization_id=feed.organization_id.hex())
                if before is not None:
                    self._known[feed.organization_id] = before
                continue
            self._known[feed.organization_id] = now
            if now != before:
                self._apply(feed, now)

    async def _read(self, feed: Feed) -> _Known:
        authenticator, organization_id = self._authenticator, feed.organization_id
        organization = await authenticator.organization(organization_id)
        revocations = await authenticator.revocations(organization_id)
        dead = [
            key
            for key in sorted(feed.keys)
            if not await authenticator.still_valid(Principal(organization_id, "key", key))
        ]
        return _Known(organization, revocations, frozenset(dead))

    def _apply(self, feed: Feed, known: _Known) -> None:
        for client in self._clients.of_feed(feed):
            asking = client.connection.asking
            if asking is None:
                continue
            if _may_stay(asking.principal, known):
                client.connection.governed(known.organization)
            else:
                client.end(INVALID_TOKEN)

    def _end_all(self, feed: Feed, code: int) -> None:
        for client in self._clients.of_feed(feed):
            client.end(code)


def _may_stay(principal: Principal, known: _Known) -> bool:
    match principal.kind:
        case "key":
            return principal.id not in known.dead_keys
        case "anonymous":
            return known.organization.anonymous or known.organization.client_insecure
        case "user":
            return not known.revocations.mean(principal.id, principal.token_id, principal.issued_at)
