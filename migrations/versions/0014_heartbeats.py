"""When each pipeline of alerts was last heard, and how often in each hour."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alert_heartbeat",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("latency", sa.Float, comment="seconds, as the pipeline says"),
        sa.Column("heard", TIME, nullable=False, comment="by the clock here"),
        schema="km3vo",
    )
    op.create_table(
        "alert_heartbeat_count",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("hour", TIME, primary_key=True),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("beats_on", sa.Integer, nullable=False),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON km3vo.alert_heartbeat, km3vo.alert_heartbeat_count TO km3vo_service")
