"""What an organization chooses for itself: its name, who is let in, and what its clients may do."""

from typing import Annotated, Literal

import msgspec

from core.channels.namespace import ClientOptions

NAME_CHARACTERS_MAX = 200


class OrganizationOptions(ClientOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All options of an organization that it can change by itself; see `core.auth.principal.Organization`."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    client_publish: bool = False
    anonymous: bool = False
    client_insecure: bool = False
    unknown_namespaces: Literal["allow", "refuse"] = "allow"
    require_idempotency_key: bool = False

    @property
    def clients(self) -> ClientOptions:
        """What it demands of connections."""
        return ClientOptions(**{name: getattr(self, name) for name in ClientOptions.__struct_fields__})
