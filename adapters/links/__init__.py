"""Links between processes: one WebSocket per process and owner, for commands, outcomes and live events."""
