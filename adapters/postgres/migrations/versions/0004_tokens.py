"""Organizations bring the keys of their tokens along, and take tokens back."""

from adapters.postgres.migrations.body import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a place for both."""
    run("0004_tokens_pre.sql")


def downgrade() -> None:
    """Take it away."""
    run("0004_tokens_down.sql")
