"""Alembic's entry point: one connection, one transaction, no models."""

from alembic import context
from sqlalchemy import create_engine, pool
from sqlalchemy.engine import make_url

_url = make_url(context.config.attributes["dsn"]).set(drivername="postgresql+psycopg")
_engine = create_engine(_url, poolclass=pool.NullPool)

with _engine.connect() as _connection:
    context.configure(connection=_connection)
    with context.begin_transaction():
        context.run_migrations()
