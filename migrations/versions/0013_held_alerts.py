"""Alerts that were accepted and wait for a person before they are published, and pipelines that are paused."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

TIME = sa.TIMESTAMP(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "alert_held",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=CLOCK),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False, comment="as it came"),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("ended", TIME, comment="when it was published or dropped"),
        schema="km3vo",
    )
    op.create_index(
        "alert_held_waiting",
        "alert_held",
        ["alert_id", "content_hash"],
        unique=True,
        schema="km3vo",
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "alert_pause",
        sa.Column("pipeline", sa.Text, primary_key=True, comment="empty: all of them"),
        sa.Column("since", TIME, nullable=False, server_default=CLOCK),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON km3vo.alert_held TO km3vo_service")
    op.execute("GRANT SELECT, INSERT, DELETE ON km3vo.alert_pause TO km3vo_service")
