"""Downtimes that the operator announces."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "downtime",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("begins", TIME, nullable=False),
        sa.Column("ends", TIME, nullable=False),
        sa.Column("note", sa.Text, nullable=False, comment="for whoever uses the service"),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", TIME, nullable=False, server_default=sa.text("now()")),
        sa.CheckConstraint("begins < ends"),
        schema="km3vo",
    )
    op.execute("GRANT SELECT ON km3vo.downtime TO km3vo_service")
