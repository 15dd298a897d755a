"""Files that a run saved, and which run has which long text."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From 0003 to 0004."""
    op.create_table(
        "files",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("updated", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run", "name"),
    )
    links = op.create_table(
        "run_texts",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "text"),
    )
    op.create_index("run_texts_text", "run_texts", ["text"])
    op.create_index("artifacts_run", "artifacts", ["run"])
    found = op.get_bind().execute(sa.text("SELECT id, metadata FROM runs WHERE metadata <> '{}'"))
    for some in found.partitions(1000):
        rows = [{"run": run, "text": text} for run, told in some for text in _texts(told)]
        if rows:
            op.bulk_insert(links, rows)


def _texts(metadata: str) -> set[str]:
    told = json.loads(metadata)
    return {told[name] for name in ("packages", "diff") if isinstance(told.get(name), str)}
