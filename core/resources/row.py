"""A resource as it is stored, and what names it in the whole installation."""

from dataclasses import dataclass

from core.instants import Instant

ResourceKey = tuple[bytes, str, bytes]
"""(organization id, type, resource id)."""
ExternalKey = tuple[bytes, str, str]
"""(organization id, type, external id)."""


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One resource as it is stored. `data` is JSON text: the type's own fields and `metadata`."""

    organization_id: bytes
    type: str
    id: bytes
    external_id: str
    data: bytes
    version: int
    created_at: Instant
    updated_at: Instant

    @property
    def key(self) -> ResourceKey:
        """What names it in the whole installation."""
        return (self.organization_id, self.type, self.id)
