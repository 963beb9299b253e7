"""A client on the wire, whatever the transport: commands in, replies and pushes out, no I/O."""
