"""REST: one file a noun, each a thin shell that parses, asks, and answers by the HTTP contract."""
