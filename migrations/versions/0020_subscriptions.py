"""Who wants to be told of which alerts: conditions in ADQL, with or without an address for mails."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

TIME = sa.TIMESTAMP(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "alert_subscription",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True, comment="by which its stream is asked for"),
        sa.Column("token", sa.Text, nullable=False, unique=True, comment="in the addresses that mails hold"),
        sa.Column("condition", sa.Text, nullable=False, comment="ADQL over km3net.alerts; empty: all"),
        sa.Column("tests", sa.Boolean, nullable=False, comment="whether tests are wanted too"),
        sa.Column("address", sa.Text, comment="for mails"),
        sa.Column(
            "format", sa.Text, nullable=False, comment="what is attached to mails: json, xml, or txt for nothing"
        ),
        sa.Column("created", TIME, nullable=False, server_default=CLOCK),
        sa.Column("asked", TIME, comment="when the mail went out that asks for a confirmation"),
        sa.Column("confirmed", TIME),
        sa.Column("seen", sa.BigInteger, nullable=False, server_default="0", comment="number of the last revision"),
        sa.Column("due", TIME, nullable=False, server_default=CLOCK),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("ended", TIME, comment="when its mails were refused for good"),
        schema="km3vo",
    )
    op.create_index("alert_subscription_address", "alert_subscription", ["address"], schema="km3vo")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON km3vo.alert_subscription TO km3vo_service")
