"""Resource types made from users' JSON Schemas, and what happens to their objects."""
