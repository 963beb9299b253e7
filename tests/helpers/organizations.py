"""Organizations made directly in the database, as the command line does."""

import itertools

import asyncpg

from adapters.postgres.codec import to_uuid

_numbers = itertools.count(1)


async def make_organization(database_url: str, *, partition_id: int = 0) -> bytes:
    """Make one organization with an empty stream in the partition, and return its id."""
    organization_id = next(_numbers).to_bytes(16, "big")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO organizations (organization_id, name, token_secret_sealed) VALUES ($1, 'test', '')",
            to_uuid(organization_id),
        )
        await connection.execute(
            "INSERT INTO stream_heads (organization_id, partition_id, epoch) VALUES ($1, $2, 'epochone')",
            to_uuid(organization_id),
            partition_id,
        )
    finally:
        await connection.close()
    return organization_id
