"""Who may use a channel, and on what terms.

A key is judged by its scopes alone; a user by the options of the channel's namespace, in the order of checks
of the Centrifuge world. What a name asks for comes first: `$` in front demands a subscription token, and
behind a `#` stand the only users who may come, where the namespace knows such lists.

Whether a backend is to decide (`subscribe_proxy`, `publish_proxy`) is not asked here: who has one to ask does
so in place of the permissions.
"""

from collections.abc import Set as AbstractSet

import orjson

from core.auth.principal import Organization, Principal
from core.channels.name import PRIVATE, USER_BOUNDARY, is_listed
from core.channels.namespace import OF_SYSTEM, OWN, Options, fits_name
from core.errors import Code

Namespaces = AbstractSet[str]
"""The namespaces that exist by themselves: the names of the resource types."""


def refusal_to_connect(principal: Principal, organization: Organization) -> Code | None:
    """Return why this caller may not connect with its credential, or None."""
    is_nobody = principal.kind == "user" and not principal.id
    return _DENIED if is_nobody and organization.channels.clients.disallow_anonymous_tokens else None


def refusal_to_subscribe(
    principal: Principal,
    organization: Organization,
    channel: str,
    known: Namespaces,
    *,
    has_token: bool = False,
) -> Code | None:
    """Return why this caller may not subscribe, or None.

    `has_token`: brings a subscription token, which was verified for this channel and user.
    """
    options = _options_or_refusal(organization, channel, known)
    if isinstance(options, Code):
        return options
    if principal.kind == "key":
        return _refusal_by_scope(principal, "channels:read")
    return None if has_token or _may_enter(principal, organization, channel, options) else _DENIED


def refusal_to_publish(
    principal: Principal,
    organization: Organization,
    channel: str,
    known: Namespaces,
    *,
    is_subscribed: bool = False,
) -> Code | None:
    """Return why this caller may not publish, or None. What it publishes is judged by `refusal_of_data`."""
    options = _options_or_refusal(organization, channel, known)
    if isinstance(options, Code):
        return options
    if options is OF_SYSTEM:
        return _DENIED
    if principal.kind == "key":
        return _refusal_by_scope(principal, "channels:write")
    allowed = _may(
        principal,
        organization,
        channel,
        options,
        client=options.allow_publish_for_client or (options is OWN and organization.client_publish),
        anonymous=options.allow_publish_for_anonymous,
        subscriber=options.allow_publish_for_subscriber and is_subscribed,
    )
    return None if allowed else _DENIED


def refusal_to_read_history(
    principal: Principal,
    organization: Organization,
    channel: str,
    known: Namespaces,
    *,
    is_subscribed: bool = False,
) -> Code | None:
    """Return why this caller may not read what the namespace shows of the channel's history, or None."""
    options = _options_or_refusal(organization, channel, known)
    if isinstance(options, Code):
        return options
    if options.history == "off":
        return Code.NOT_AVAILABLE
    allowed = _may_read_history(principal, organization, channel, options, is_subscribed=is_subscribed)
    return None if allowed else _DENIED


def refusal_to_read_log(
    principal: Principal, organization: Organization, channel: str, known: Namespaces
) -> Code | None:
    """Return why this caller may not read the log of the channel, which no namespace shortens, or None."""
    options = _options_or_refusal(organization, channel, known)
    return options if isinstance(options, Code) else _refusal_by_scope(principal, "channels:read")


def refusal_to_see_presence(
    principal: Principal,
    organization: Organization,
    channel: str,
    known: Namespaces,
    *,
    is_subscribed: bool = False,
) -> Code | None:
    """Return why this caller may not see who is in the channel, or None."""
    options = _options_or_refusal(organization, channel, known)
    if isinstance(options, Code):
        return options
    if not options.presence:
        return Code.NOT_AVAILABLE
    allowed = may_see_who_comes(principal, organization, channel, options, is_subscribed=is_subscribed)
    return None if allowed else _DENIED


def refusal_to_acknowledge(
    principal: Principal,
    organization: Organization,
    channel: str,
    known: Namespaces,
    *,
    is_subscribed: bool = False,
) -> Code | None:
    """Return why this caller may not say what it has got and read of the channel, or None.

    A user may wherever it gets to see the publications; nobody else is told apart from others.
    """
    options = _options_or_refusal(organization, channel, known)
    if isinstance(options, Code):
        return options
    if principal.kind != "user" or not principal.id:
        return _DENIED
    may_read = options.history != "off" and _may_read_history(
        principal, organization, channel, options, is_subscribed=is_subscribed
    )
    # Where a backend is asked, only who was let in has been allowed.
    may_enter = not options.subscribe_proxy and _may_enter(principal, organization, channel, options)
    return None if is_subscribed or may_read or may_enter else _DENIED


def refusal_of_data(options: Options, data: bytes) -> Code | None:
    """Return why this can't be published where these options hold, or None.

    Without a format it is any bytes, but some.
    """
    match options.publication_data_format:
        case "binary":
            return None
        case "":
            return None if data else Code.VALIDATION_FAILED
        case "json":
            return None if _is_json(data) else Code.VALIDATION_FAILED
        case "json_object":
            is_object = data.lstrip()[:1] == b"{" and _is_json(data)
            return None if is_object else Code.VALIDATION_FAILED


def may_recover(
    principal: Principal,
    organization: Organization,
    channel: str,
    options: Options,
    *,
    is_subscribed: bool = False,
) -> bool:
    """Say whether a subscription may be continued from a position, asked for or not.

    Where the namespace recovers, and to those who may read the history anyway: nobody gets back what its
    owner did not open.
    """
    if options.history == "off":
        return False
    return (
        options.force_recovery
        or options.allow_recovery
        or _may_read_history(principal, organization, channel, options, is_subscribed=is_subscribed)
    )


def may_see_who_comes(
    principal: Principal,
    organization: Organization,
    channel: str,
    options: Options,
    *,
    is_subscribed: bool = False,
) -> bool:
    """Say whether this caller has permission to see presence, be it kept for the channel or not."""
    if principal.kind == "key":
        return principal.allows("channels:read")
    return _may(
        principal,
        organization,
        channel,
        options,
        client=options.allow_presence_for_client,
        anonymous=options.allow_presence_for_anonymous,
        subscriber=options.allow_presence_for_subscriber and is_subscribed,
    )


_DENIED = Code.PERMISSION_DENIED


def _options_or_refusal(organization: Organization, channel: str, known: Namespaces) -> Options | Code:
    options = organization.channels.options_of(channel, known)
    if options is None:
        return Code.UNKNOWN_CHANNEL
    return options if fits_name(organization.channels, options, channel) else Code.VALIDATION_FAILED


def _refusal_by_scope(principal: Principal, scope: str) -> Code | None:
    return None if principal.allows(scope) else _DENIED


def _may_enter(principal: Principal, organization: Organization, channel: str, options: Options) -> bool:
    if channel.startswith(PRIVATE):
        return False
    has_list = USER_BOUNDARY in channel
    if has_list and options.allow_user_limited_channels and is_listed(channel, principal.id):
        return True
    is_limited = has_list and (options.allow_user_limited_channels or options.guard_private)
    is_open = options.allow_subscribe_for_client and not is_limited
    return (is_open and (bool(principal.id) or options.allow_subscribe_for_anonymous)) or (
        organization.client_insecure
    )


def _may_read_history(
    principal: Principal, organization: Organization, channel: str, options: Options, *, is_subscribed: bool
) -> bool:
    if principal.kind == "key":
        return principal.allows("channels:read")
    return _may(
        principal,
        organization,
        channel,
        options,
        client=options.allow_history_for_client,
        anonymous=options.allow_history_for_anonymous,
        subscriber=options.allow_history_for_subscriber and is_subscribed,
    )


def _may(
    principal: Principal,
    organization: Organization,
    channel: str,
    options: Options,
    *,
    client: bool,
    anonymous: bool,
    subscriber: bool,
) -> bool:
    """Judge a user by what is allowed to clients at large, to those without a name, and to subscribers."""
    is_private = channel.startswith(PRIVATE)
    if options.guard_private and (is_private or USER_BOUNDARY in channel):
        client = False
    if (client or subscriber) and (principal.id or anonymous):
        return True
    return organization.client_insecure and not (options.guard_private and is_private)


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
