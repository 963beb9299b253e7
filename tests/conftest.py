"""Fixtures that every kind of test may use."""

from tests.helpers.database import database_url, postgres

__all__ = ["database_url", "postgres"]
