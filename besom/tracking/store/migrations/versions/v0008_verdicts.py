"""What a stopping rule has decided of each trial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """From 0007 to 0008."""
    for name in ("passed", "halted"):
        op.add_column("trials", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
