"""Release rules with quality control, exceptions of two kinds, and a log of what was released and decided."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import REGCLASS

revision = "0010"
down_revision = "0001"

TIME = sa.TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.add_column(
        "stream",
        sa.Column(
            "qc",
            sa.Text,
            sa.CheckConstraint("qc IN ('pending', 'passed')"),
            nullable=False,
            server_default="pending",
            comment="what new events are until quality control speaks",
        ),
        schema="km3vo",
    )
    op.add_column(
        "stream",
        sa.Column("described", sa.Text, comment="latency in schemas/*.yaml when last published"),
        schema="km3vo",
    )
    for column in (
        sa.Column("hidden", REGCLASS, nullable=False, comment="the embargoed partition"),
        sa.Column("public", REGCLASS, nullable=False, comment="the public partition"),
        sa.Column("event_column", sa.Text, nullable=False),
        sa.Column("time_column", sa.Text, nullable=False),
        sa.Column("looked_at", TIME, comment="everything due at this time is public"),
        sa.Column("released_at", TIME, comment="when events last became public"),
        sa.Column("clock_checked_at", TIME, nullable=False, server_default=NOW, comment="when a person vouched for it"),
    ):
        op.add_column("embargoed", column, schema="km3vo")
    op.add_column(
        "release_exception",
        sa.Column("kind", sa.Text, sa.CheckConstraint("kind IN ('hold', 'early')"), nullable=False),
        schema="km3vo",
    )
    op.create_table(
        "release_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
        sa.Column("published", sa.Text),
        sa.Column("stream", sa.Text),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("rows", sa.BigInteger),
        sa.Column("up_to", TIME, comment="latest release time among the rows"),
        sa.Column("reason", sa.Text),
        sa.Column("decided_by", sa.Text, nullable=False),
        schema="km3vo",
    )
    op.execute("GRANT SELECT ON km3vo.release_log TO km3vo_service")


def downgrade() -> None:
    op.drop_table("release_log", schema="km3vo")
    op.drop_column("release_exception", "kind", schema="km3vo")
    for name in (
        "clock_checked_at",
        "released_at",
        "looked_at",
        "time_column",
        "event_column",
        "public",
        "hidden",
    ):
        op.drop_column("embargoed", name, schema="km3vo")
    op.drop_column("stream", "described", schema="km3vo")
    op.drop_column("stream", "qc", schema="km3vo")
