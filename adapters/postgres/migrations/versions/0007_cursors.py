"""Users acknowledge what reached them in a channel, and what they have read."""

from adapters.postgres.migrations.body import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add how far each of them is."""
    run("0007_cursors_pre.sql")


def downgrade() -> None:
    """Take it away."""
    run("0007_cursors_down.sql")
