"""Redis or Valkey: a cache whose loss costs nothing but time."""
