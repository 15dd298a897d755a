"""Runs the revisions on the connection that `store.migrate` passes in; touches neither logging nor files."""

from __future__ import annotations

from alembic import context

from besom.tracking.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
