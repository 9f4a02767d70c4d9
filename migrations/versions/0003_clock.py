"""One clock for all tables, which a table that is published later does not vouch for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.TIMESTAMP(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "clock",
        sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, server_default="true"),
        sa.Column("good_at", TIME, nullable=False, server_default=CLOCK, comment="the clock when last found right"),
        sa.Column("checked_at", TIME, nullable=False, server_default=CLOCK, comment="the clock when last vouched for"),
        sa.Column("checked_by", sa.Text, nullable=False, comment="who vouched: a person, or the system's clock"),
        sa.Column("boot", sa.Text, comment="of the machine on which it was vouched for; NULL is not known"),
        sa.Column("uptime", sa.Double, comment="seconds of that boot, then"),
        sa.Column("stopped", sa.Text, comment="why nothing is released until a person has looked, or NULL"),
        schema="km3vo",
    )
    op.execute(
        "INSERT INTO km3vo.clock (good_at, checked_at, checked_by) SELECT coalesce(max(seen), now()), "
        "coalesce(max(seen), now()), 'installation' "
        "FROM (SELECT greatest(looked_at, clock_checked_at) AS seen FROM km3vo.embargoed) AS before"
    )
    op.drop_column("embargoed", "clock_checked_at", schema="km3vo")
    op.execute("GRANT SELECT, UPDATE ON km3vo.clock TO km3vo_service")
    # What rule.sql calls otherwise now.
    op.execute("DROP FUNCTION IF EXISTS km3vo.except_event(text, text, text, timestamptz, text, text)")
