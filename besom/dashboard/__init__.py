"""The HTTP side of the store: a read API, the base of the pages to come."""
