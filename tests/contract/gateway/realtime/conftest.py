"""A replica that many cases share."""

from collections.abc import Iterator

import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from tests.helpers.database import fresh_database
from tests.helpers.realtime import Realtimes
from tests.helpers.sockets import in_a_thread


@pytest.fixture(scope="module")
def shared(postgres: EmbeddedPostgres) -> Iterator[Realtimes]:
    """Give a replica with the usual settings, for all cases of a module."""
    with fresh_database(postgres) as url, in_a_thread(url, drain_s=0.0) as system:
        yield system
