"""The owner of log partitions: one batch in flight each, fenced by its epoch, fanned out after the commit."""
