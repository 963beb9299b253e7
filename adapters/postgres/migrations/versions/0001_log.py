"""The log, its heads and fences, the resources, and who may use them."""

from adapters.postgres.migrations.body import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    run("0001_log_pre.sql")


def downgrade() -> None:
    """Drop them, with everything in them."""
    run("0001_log_down.sql")
