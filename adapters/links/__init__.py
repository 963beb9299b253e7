"""Links between processes: one WebSocket per process and owner, for commands, outcomes and live events.

Both sides prove the cluster key before anything else is read (`handshake.py`). What is said in one tick of
the loop leaves in one frame (`outbox.py`, `frames.py`). An owner listens (`server.py`), a gateway calls
(`client.py`).
"""
