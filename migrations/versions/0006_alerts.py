"""Alerts: their revisions, which are appended and never changed, what was done with them, and tokens that send them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON

revision = "0006"
down_revision = "0005"

TIME = sa.TIMESTAMP(timezone=True)
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    tokens()
    alerts()


def tokens() -> None:
    for name, meaning in (
        ("scopes", "what it may do beside reading, such as alerts:write"),
        ("pipelines", "whose alerts it may send; none named is all of them"),
    ):
        column: sa.Column[list[str]] = sa.Column(
            name, ARRAY(sa.Text), nullable=False, server_default="{}", comment=meaning
        )
        op.add_column("token", column, schema="km3vo")
    op.drop_constraint("token_audience_check", "token", schema="km3vo")
    op.create_check_constraint(
        "token_audience_check", "token", "audience IN ('member', 'observer', 'public')", schema="km3vo"
    )


def alerts() -> None:
    op.create_table(
        "alert_count",
        sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, server_default="true"),
        sa.Column("last", sa.BigInteger, nullable=False, comment="alert.number of the newest; who publishes locks it"),
        schema="km3vo",
    )
    op.execute("INSERT INTO km3vo.alert_count (last) VALUES (0)")
    op.create_table(
        "alert",
        sa.Column("number", sa.BigInteger, primary_key=True, comment="in the order of publication, without gaps"),
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("content_hash", sa.Text, nullable=False, comment="of the message, however it was written"),
        sa.Column("published", TIME, nullable=False, server_default=CLOCK),
        # Not jsonb: numbers are kept as they were written.
        sa.Column("document", JSON, comment="the revision (km3vo/alerts/revision.py); NULL when redacted"),
        sa.Column("redacted", TIME),
        sa.UniqueConstraint("event_name", "revision"),
        sa.UniqueConstraint("alert_id", "type", "content_hash"),
        sa.CheckConstraint("(document IS NULL) = (redacted IS NOT NULL)"),
        schema="km3vo",
    )
    op.create_index("alert_key", "alert", ["sender", "idempotency_key"], schema="km3vo")
    op.execute(
        """
        CREATE FUNCTION km3vo.keep_alert() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            -- One change is possible, the owner's: that a revision loses what it says (km3vo alert redact).
            IF TG_OP = 'UPDATE' AND OLD.redacted IS NULL AND NEW.document IS NULL
                AND to_jsonb(NEW) - 'document' - 'redacted' = to_jsonb(OLD) - 'document' - 'redacted'
            THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'revisions of alerts are appended and never changed';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON km3vo.alert FOR EACH ROW EXECUTE FUNCTION km3vo.keep_alert()"
    )
    op.execute(
        "CREATE TRIGGER keep_all BEFORE TRUNCATE ON km3vo.alert FOR EACH STATEMENT EXECUTE FUNCTION km3vo.keep_alert()"
    )
    op.create_table(
        "alert_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=CLOCK),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False, comment="accepted, repeated, refused, redacted …"),
        sa.Column("event_name", sa.Text),
        sa.Column("revision", sa.Integer),
        sa.Column("sha256", sa.Text, comment="of the bytes that came or went"),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        schema="km3vo",
    )
    op.create_index("alert_log_name", "alert_log", ["event_name"], schema="km3vo")
    op.execute("GRANT SELECT, UPDATE ON km3vo.alert_count TO km3vo_service")
    op.execute("GRANT SELECT, INSERT ON km3vo.alert, km3vo.alert_log TO km3vo_service")
