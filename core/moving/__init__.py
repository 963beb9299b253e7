"""Moving here from another system: what its configuration becomes, and what of it can't be kept."""
