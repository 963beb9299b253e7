"""Programs that `tidings up` starts on one machine: PostgreSQL, Valkey and the edge."""
