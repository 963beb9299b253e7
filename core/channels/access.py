"""Who may use a channel, as long as no namespace is configured.

A key by its scopes; a user (connection token) may subscribe to and read every channel without `$` or `#`,
and publish where the organization allows it; the names of the resource types are known namespaces, others
follow `unknown_namespaces`.
"""

from collections.abc import Set as AbstractSet

from core.auth.principal import Organization, Principal
from core.channels.name import PRIVATE, USER_BOUNDARY, is_valid, namespace_of
from core.errors import Code

Namespaces = AbstractSet[str]
"""The namespaces that exist: the names of the resource types."""


def _refusal_of_name(organization: Organization, channel: str, known: Namespaces) -> Code | None:
    namespace = namespace_of(channel)
    if namespace and namespace not in known and organization.unknown_namespaces == "refuse":
        return Code.UNKNOWN_CHANNEL
    return None if is_valid(channel) else Code.VALIDATION_FAILED


def _is_insecure(principal: Principal, organization: Organization) -> bool:
    return organization.client_insecure and principal.kind != "key"


def _refusal_to_read(
    principal: Principal, organization: Organization, channel: str, known: Namespaces
) -> Code | None:
    if (refusal := _refusal_of_name(organization, channel, known)) is not None:
        return refusal
    if principal.kind == "key":
        return None if principal.allows("channels:read") else Code.PERMISSION_DENIED
    if channel.startswith(PRIVATE):
        return Code.PERMISSION_DENIED  # needs a subscription token, which nobody can issue yet
    if USER_BOUNDARY in channel and not _is_insecure(principal, organization):
        return Code.PERMISSION_DENIED
    return None


def refusal_to_subscribe(
    principal: Principal, organization: Organization, channel: str, known: Namespaces
) -> Code | None:
    """Return why this caller may not subscribe, or None."""
    return _refusal_to_read(principal, organization, channel, known)


def refusal_to_read_history(
    principal: Principal, organization: Organization, channel: str, known: Namespaces
) -> Code | None:
    """Return why this caller may not read the channel's history, or None."""
    return _refusal_to_read(principal, organization, channel, known)


def refusal_to_publish(
    principal: Principal, organization: Organization, channel: str, known: Namespaces
) -> Code | None:
    """Return why this caller may not publish, or None."""
    if (refusal := _refusal_of_name(organization, channel, known)) is not None:
        return refusal
    if principal.kind == "key":
        return None if principal.allows("channels:write") else Code.PERMISSION_DENIED
    if _is_insecure(principal, organization):
        return Code.PERMISSION_DENIED if channel.startswith(PRIVATE) else None
    if principal.kind == "anonymous" or not organization.client_publish:
        return Code.PERMISSION_DENIED
    private = channel.startswith(PRIVATE) or USER_BOUNDARY in channel
    return Code.PERMISSION_DENIED if private else None
