"""${message}."""

from adapters.postgres.migrations.body import run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Run the numbered SQL file of this revision."""
    run("${up_revision}_pre.sql")


def downgrade() -> None:
    """Undo it."""
    run("${up_revision}_down.sql")
