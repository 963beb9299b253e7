"""Organizations have backends that judge what their clients do."""

from adapters.postgres.migrations.body import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a place for what they say of it."""
    run("0005_backend_pre.sql")


def downgrade() -> None:
    """Take it away."""
    run("0005_backend_down.sql")
