"""Organizations may move here from another system, and use its server API."""

from adapters.postgres.migrations.body import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add what they bring along."""
    run("0006_moving_pre.sql")


def downgrade() -> None:
    """Take it away."""
    run("0006_moving_down.sql")
