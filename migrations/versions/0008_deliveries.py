"""What is to be sent of alerts, by channel: written with the alert, sent until it has arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TIME = sa.TIMESTAMP(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "alert_delivery",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, comment="the bytes that are sent, also again; NULL when redacted"),
        sa.Column("created", TIME, nullable=False, server_default=CLOCK),
        sa.Column("due", TIME, nullable=False, server_default=CLOCK),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("sent", TIME, comment="when the other side had acknowledged it"),
        sa.Column("failed", TIME, comment="when it was given up"),
        sa.Column("remote_ref", sa.Text, comment="what the other side calls it"),
        sa.UniqueConstraint("event_name", "revision", "channel"),
        sa.ForeignKeyConstraint(["event_name", "revision"], ["km3vo.alert.event_name", "km3vo.alert.revision"]),
        schema="km3vo",
    )
    op.create_index(
        "alert_delivery_waiting",
        "alert_delivery",
        ["channel", "event_name", "id"],
        schema="km3vo",
        postgresql_where=sa.text("sent IS NULL AND failed IS NULL"),
    )
    # Whoever sends is woken when an alert is committed.
    op.execute(
        """
        CREATE FUNCTION km3vo.tell_of_alert() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            PERFORM pg_notify('km3vo_alert', NEW.number::text);
            RETURN NULL;
        END $$
        """
    )
    op.execute("CREATE TRIGGER tell AFTER INSERT ON km3vo.alert FOR EACH ROW EXECUTE FUNCTION km3vo.tell_of_alert()")
    op.execute("GRANT SELECT, INSERT, UPDATE ON km3vo.alert_delivery TO km3vo_service")
