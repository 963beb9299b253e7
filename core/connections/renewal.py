"""A subscription's new token (`sub_refresh`, §4 of the protocol): who may bring one, and what comes of it.

A renewal may name no channel: its token does.
"""

from core.connections.admission import Terms
from core.connections.codes import BAD_REQUEST, EXPIRED, INVALID_TOKEN, SUBSCRIPTION_EXPIRED
from core.connections.effects import Close, Renew, Send
from core.connections.frames import SubRefresh, SubRefreshed
from core.connections.moment import Moment
from core.connections.requests import refused
from core.connections.subscriptions import Subscriptions
from core.errors import Code, TidingsError


def renewal_of(subscriptions: Subscriptions, command: SubRefresh) -> Renew | Send | Close:
    """Return what to do about a renewal: verify its token, or refuse it."""
    if not command.token:
        return refused(command.id, Code.VALIDATION_FAILED)
    if not command.channel:
        return Renew(command)
    return _problem(subscriptions, command.id, command.channel) or Renew(command)


def renew(subscriptions: Subscriptions, command: SubRefresh, terms: Terms | None, at: Moment) -> Send | Close:
    """Give the subscription the end that its new token says; None: it is another's, or another channel's."""
    if terms is None:
        return Close(INVALID_TOKEN)
    channel = command.channel or terms.channel
    problem = _problem(subscriptions, command.id, channel)  # it may have ended, or is another's all along
    if problem is not None:
        return problem
    ends_s, ttl_s = at.until(terms.expires_at)
    subscriptions.end_at(channel, ends_s)
    return Send(command.id, SubRefreshed(ttl_s))


def failure_of(command: SubRefresh, error: TidingsError) -> Send | Close:
    """Return what comes of a new token that was refused; a failure of our own is answered as temporary."""
    if error.row.retry != "never":
        return refused(command.id, Code.INTERNAL)
    return Close(SUBSCRIPTION_EXPIRED if error.row.realtime in EXPIRED else INVALID_TOKEN)


def _problem(subscriptions: Subscriptions, id_: int, channel: str) -> Send | Close | None:
    grant = subscriptions.grant(channel)
    if grant is None:
        return refused(id_, Code.PERMISSION_DENIED)
    return None if grant.is_renewable else Close(BAD_REQUEST)
