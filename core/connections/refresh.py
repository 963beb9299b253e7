"""A new token for a connection: who may bring one, and which will do (`refresh`, §4 of the protocol)."""

from core.auth.principal import Principal
from core.connections.codes import BAD_REQUEST, CONNECTION_EXPIRED, INSUFFICIENT_STATE, INVALID_TOKEN
from core.connections.effects import Close, Reauthenticate, Send
from core.connections.frames import Refresh
from core.connections.membership import Membership
from core.connections.requests import refused
from core.errors import Code, TidingsError


def refresh_of(command: Refresh, principal: Principal, *, is_limited: bool) -> Reauthenticate | Close:
    """Have a new token verified; `is_limited`: the connection has an end, without which it needs none."""
    if not command.token or not is_limited or not principal.refreshable:
        return Close(BAD_REQUEST)
    return Reauthenticate(command.id, command.token)


def objection_to(members: Membership, principal: Principal) -> Close | None:
    """Return why a connection can't live on with a good token: it is of another user, or other channels."""
    before = members.asking.principal
    if (principal.id, principal.organization_id) != (before.id, before.organization_id):
        return Close(INVALID_TOKEN)
    return None if members.are_of(principal) else Close(INSUFFICIENT_STATE)


def failure_of(id_: int, error: TidingsError) -> Send | Close:
    """Return what becomes of a client whose new token was refused.

    A failure of our own is answered as temporary; anything else ends the client for good.
    """
    if error.row.retry != "never":
        return refused(id_, Code.INTERNAL)
    if error.code is Code.EXPIRED:
        return refused(id_, error.code)
    return Close(CONNECTION_EXPIRED if error.code is Code.CREDENTIAL_EXPIRED else INVALID_TOKEN)
