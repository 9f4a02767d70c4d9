"""Release rules, the tables under them, and what was loaded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INTERVAL, REGCLASS

revision = "0001"
down_revision = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "stream",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("latency", INTERVAL, sa.CheckConstraint("latency >= interval '0'"), comment="NULL is never"),
        schema="km3vo",
    )
    op.create_table(
        "embargoed",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("parent", REGCLASS, nullable=False),
        sa.Column("stream", sa.Text, sa.ForeignKey("km3vo.stream.name"), nullable=False),
        schema="km3vo",
    )
    op.create_table(
        "release_exception",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("published", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("release_time", sa.TIMESTAMP(timezone=True), nullable=False, comment="infinity is a hold"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
        sa.Column("lifted_at", sa.TIMESTAMP(timezone=True)),
        schema="km3vo",
    )
    op.create_index(
        "one_exception_in_force",
        "release_exception",
        ["published", "event"],
        unique=True,
        schema="km3vo",
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "load",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("loaded_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT ON km3vo.load TO km3vo_ingest")
    op.execute("GRANT SELECT ON km3vo.load TO km3vo_service")
    op.execute("GRANT SELECT ON km3vo.stream, km3vo.embargoed, km3vo.release_exception TO km3vo_service")


def downgrade() -> None:
    for table in ("load", "release_exception", "embargoed", "stream"):
        op.drop_table(table, schema="km3vo")
