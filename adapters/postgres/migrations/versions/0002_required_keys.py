"""Organizations may insist that every write brings an idempotency key."""

from adapters.postgres.migrations.body import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the option, off for those that exist."""
    run("0002_required_keys_pre.sql")


def downgrade() -> None:
    """Take it away."""
    run("0002_required_keys_down.sql")
