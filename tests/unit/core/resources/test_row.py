"""A stored resource is named by organization, type and id together."""

from core.instants import Instant
from core.resources.row import ResourceRow


def test_the_key_holds_the_organization() -> None:
    row = ResourceRow(b"o" * 16, "message", b"i" * 16, "", b"{}", 1, Instant(0), Instant(0))
    assert row.key == (b"o" * 16, "message", b"i" * 16)
