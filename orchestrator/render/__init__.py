"""A plan in, compose files out. Builds dicts and dumps them."""
