"""Who may see more than the public: tokens, observers and their grants; and a log of what they asked."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

TIME = sa.TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False, unique=True, comment="the token itself is kept nowhere"),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, sa.CheckConstraint("audience IN ('member', 'observer')"), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        sa.Column("last_used_at", TIME, comment="to the minute"),
        schema="km3vo",
    )
    op.create_table(
        "observer",
        sa.Column("name", sa.Text, primary_key=True, comment="as in tokens, or the `sub` of the identity provider"),
        sa.Column("login", sa.Text, nullable=False, unique=True),
        schema="km3vo",
    )
    op.create_table(
        "observer_grant",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("observer", sa.Text, sa.ForeignKey("km3vo.observer.name"), nullable=False),
        sa.Column("published", sa.Text, nullable=False),
        sa.Column("observed_from", sa.TIMESTAMP, comment="of observation, UTC; NULL: from the beginning"),
        sa.Column("observed_to", sa.TIMESTAMP, comment="of observation, UTC, not included; NULL: to the end"),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", TIME, nullable=False, server_default=NOW),
        sa.Column("revoked_at", TIME),
        schema="km3vo",
    )
    op.create_table(
        "access_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False, comment="the query as it was asked; no uploads, no answers"),
        sa.Column("status", sa.Integer, nullable=False),
        schema="km3vo",
    )
    op.create_index("access_log_at", "access_log", ["at"], schema="km3vo")
    op.execute("GRANT SELECT, UPDATE (last_used_at) ON km3vo.token TO km3vo_service")
    op.execute("GRANT SELECT ON km3vo.observer, km3vo.observer_grant TO km3vo_service")
    op.execute("GRANT INSERT ON km3vo.access_log TO km3vo_service")


def downgrade() -> None:
    for table in ("access_log", "observer_grant", "observer", "token"):
        op.drop_table(table, schema="km3vo")
