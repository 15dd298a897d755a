"""A run as the user writes it and as it is kept."""
