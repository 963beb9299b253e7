"""Revisions, one a file; each runs its numbered SQL."""
