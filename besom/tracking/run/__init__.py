"""A run as the user writes it."""
