"""Releases come in batches: up to when everything due is public is another time than when somebody looked."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column(
        "embargoed",
        sa.Column("checked_at", sa.TIMESTAMP(timezone=True), comment="when somebody last looked for what is due"),
        schema="km3vo",
    )
    op.execute("UPDATE km3vo.embargoed SET checked_at = looked_at")
