"""Channels: what names they may have, and who may subscribe to, publish to and read them."""
