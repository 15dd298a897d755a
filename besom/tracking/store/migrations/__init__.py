"""Alembic scripts that bring an older store up to `schema.HEAD`; `env.py` runs inside the caller's transaction."""
