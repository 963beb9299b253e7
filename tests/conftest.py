"""Fixtures that every kind of test may use."""

from hypothesis import settings

from tests.helpers.database import database_url, postgres

__all__ = ["database_url", "postgres"]

# No test may depend on how fast the machine is; one that hangs ends by its timeout.
settings.register_profile("tidings", deadline=None)
settings.load_profile("tidings")
