"""The outside world, one folder each: PostgreSQL, links, Redis, embedded programs, telemetry."""
