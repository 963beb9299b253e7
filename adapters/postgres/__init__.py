"""PostgreSQL, the truth: SQL in `sql/`, one class a noun, and the one statement that appends to the log."""
