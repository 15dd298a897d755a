"""Files by content: one small interface, and the places and ways that fill it."""
