"""The halves of Tidings that speak to the outside: `api` over REST, `realtime` over sockets and streams.

Both know ports, and not that actors exist.
"""
