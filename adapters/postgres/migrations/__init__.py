"""The schema's history: Alembic revisions whose bodies are numbered SQL files."""
