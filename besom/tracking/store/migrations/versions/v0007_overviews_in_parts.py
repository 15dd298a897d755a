"""An overview may rest in several rows, so that a longer series need not write all of it again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """From 0006 to 0007."""
    op.create_table(
        "overview_parts",
        sa.Column("series", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("series", "position"),
    )
    op.execute("INSERT INTO overview_parts SELECT series, 0, count, blob FROM overview")
    op.drop_table("overview")
    op.rename_table("overview_parts", "overview")
