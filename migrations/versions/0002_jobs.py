"""Asynchronous jobs: one row each, whose phase is the only truth about it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0002"
down_revision = "0001"

TIME = sa.TIMESTAMP(timezone=True)

# Whoever changes a phase wakes those who wait for it, in whatever process they are.
NOTIFY = """
CREATE FUNCTION km3vo.tell_of_job() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('km3vo_job', OLD.number || ' DELETED');
    ELSE
        PERFORM pg_notify('km3vo_job', NEW.number || ' ' || NEW.phase);
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True, comment="unguessable: who knows it may use the job"),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, comment="NULL for anonymous jobs"),
        sa.Column("phase", sa.Text, nullable=False),
        # Not jsonb, which has no NUL: what clients send is kept as it came.
        sa.Column("parameters", JSON, nullable=False, comment="[[NAME, value], …]"),
        sa.Column("seconds", sa.Integer, nullable=False, comment="how long it may run"),
        sa.Column("created", TIME, nullable=False, server_default=sa.text("now()")),
        sa.Column("queued", TIME),
        sa.Column("started", TIME),
        sa.Column("ended", TIME),
        sa.Column("destruction", TIME, nullable=False),
        sa.Column("worker", sa.BigInteger, comment="the process that runs it: key of the advisory lock it holds"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("overflow", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("result", sa.Text, comment="name of the result's file"),
        sa.Column("content_type", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("transient", sa.Boolean, nullable=False, server_default="false"),
        sa.CheckConstraint("phase IN ('PENDING', 'QUEUED', 'EXECUTING', 'COMPLETED', 'ERROR', 'ABORTED')"),
        sa.CheckConstraint("(phase = 'EXECUTING') = (worker IS NOT NULL)"),
        schema="km3vo",
    )
    for name, columns, where in (
        ("job_queue", ["queued", "number"], "phase = 'QUEUED'"),
        ("job_worker", ["worker"], "phase = 'EXECUTING'"),
        ("job_owner", ["owner", "created"], "owner IS NOT NULL"),
        ("job_destruction", ["destruction"], None),
    ):
        condition = sa.text(where) if where else None
        op.create_index(name, "job", columns, schema="km3vo", postgresql_where=condition)
    op.execute(NOTIFY)
    for event, when in (
        ("INSERT", "WHEN (NEW.phase <> 'PENDING')"),
        ("UPDATE", "WHEN (NEW.phase <> OLD.phase)"),
        ("DELETE", ""),
    ):
        op.execute(
            f"CREATE TRIGGER tell_{event.lower()} AFTER {event} ON km3vo.job "
            f"FOR EACH ROW {when} EXECUTE FUNCTION km3vo.tell_of_job()"
        )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON km3vo.job TO km3vo_service")


def downgrade() -> None:
    op.drop_table("job", schema="km3vo")
    op.execute("DROP FUNCTION km3vo.tell_of_job()")
