"""Runs a migration's SQL file: the body of every revision."""

from importlib.resources import files

from alembic import op


def run(name: str) -> None:
    """Run `sql/<name>` as it stands, in the migration's transaction."""
    text = files("adapters.postgres.migrations").joinpath("sql", name).read_text()
    # Handed to the driver without parameters: several statements at once, and a percent sign means itself.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 (an online migration always has one)
    driver.execute(text)
