"""How much somebody may do."""
