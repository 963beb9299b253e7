"""Organizations say what the channels of a namespace may do."""

from adapters.postgres.migrations.body import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the namespaces, none for those that exist."""
    run("0003_namespaces_pre.sql")


def downgrade() -> None:
    """Take them away."""
    run("0003_namespaces_down.sql")
