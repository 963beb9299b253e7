"""Migrations run up, down and up again, and a second run changes nothing."""

from adapters.postgres.migrate import downgrade_to, migrate, upgrade_to
from tests.helpers.loop import run


def test_a_second_run_changes_nothing(database_url: str) -> None:
    assert run(migrate(database_url, partitions=4, ahead_days=2)) is False


def test_up_down_up_ends_where_it_began(database_url: str) -> None:
    downgrade_to(database_url, "base")
    upgrade_to(database_url, "head")
    assert run(migrate(database_url, partitions=4, ahead_days=2)) is False
