"""How far an owner is behind the database."""

import pytest

from cli.status import lag


@pytest.mark.parametrize(
    ("stored", "announced", "shown"),
    [(7, 7, "0"), (7, 9, "0"), (9, 7, "2")],
    ids=["the same", "written since it was asked", "an owner that was replaced and does not know"],
)
def test_only_what_is_durable_and_not_announced_is_lag(stored: int, announced: int, shown: str) -> None:
    assert lag(stored, announced) == shown
