"""Sockets and streams: connections on one side, the live feed on the other, shared bytes between."""
