"""Who has logged in with a browser, and who is about to."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

TIME = sa.DateTime(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False, unique=True, comment="of what the browser sends"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False, comment="what the identity provider calls the person"),
        sa.Column("member", sa.Boolean, nullable=False),
        sa.Column("as_public", sa.Boolean, nullable=False, server_default=sa.false(), comment="as the person wants it"),
        sa.Column("began_at", TIME, nullable=False, server_default=CLOCK),
        sa.Column("used_at", TIME, nullable=False, server_default=CLOCK, comment="to the minute"),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, comment="before its time"),
        sa.Column("checked_at", TIME, nullable=False, server_default=CLOCK, comment="by the identity provider"),
        sa.Column("checking_at", TIME, comment="since when one process asks it"),
        sa.Column("sealed", sa.Text, comment="with which it is asked; opened by what the browser sends"),
        schema="km3vo",
    )
    op.create_index("session_name", "session", ["name"], schema="km3vo")
    op.create_table(
        "login",
        sa.Column("sha256", sa.LargeBinary, primary_key=True, comment="of what the browser sends"),
        sa.Column("next", sa.Text, nullable=False, comment="path of the page to go to"),
        sa.Column("ends_at", TIME, nullable=False),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON km3vo.session TO km3vo_service")
    op.execute("GRANT SELECT, INSERT, DELETE ON km3vo.login TO km3vo_service")
