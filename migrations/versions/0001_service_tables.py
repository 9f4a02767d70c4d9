"""The service's own tables, room by room: embargo, loading, identity, jobs, holdings, registry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, JSON, REGCLASS

revision = "0001"
down_revision = None

TIME = sa.TIMESTAMP(timezone=True)
NOW = sa.text("now()")  # when the transaction began
CLOCK = sa.text("clock_timestamp()")


def upgrade() -> None:
    embargo()
    loading()
    identity()
    jobs()
    holdings()
    registry()


def embargo() -> None:
    op.create_table(
        "stream",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("latency", INTERVAL, sa.CheckConstraint("latency >= interval '0'"), comment="NULL is never"),
        sa.Column("described", sa.Text, comment="latency in schemas/*.yaml when last published"),
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
    op.create_table(
        "embargoed",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("parent", REGCLASS, nullable=False),
        sa.Column("hidden", REGCLASS, nullable=False, comment="the embargoed partition"),
        sa.Column("public", REGCLASS, nullable=False, comment="the public partition"),
        sa.Column("stream", sa.Text, sa.ForeignKey("km3vo.stream.name"), nullable=False),
        sa.Column("event_column", sa.Text, nullable=False),
        sa.Column("time_column", sa.Text, nullable=False),
        sa.Column("looked_at", TIME, comment="everything due at this time is public"),
        sa.Column("released_at", TIME, comment="when events last became public"),
        sa.Column(
            "clock_checked_at", TIME, nullable=False, server_default=CLOCK, comment="when a person vouched for it"
        ),
        schema="km3vo",
    )
    op.create_table(
        "release_exception",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("published", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, sa.CheckConstraint("kind IN ('hold', 'early')"), nullable=False),
        sa.Column("release_time", TIME, nullable=False, comment="infinity is a hold"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", TIME, nullable=False, server_default=NOW),
        sa.Column("lifted_at", TIME),
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
        "release_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=CLOCK),
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
    op.execute(
        "GRANT SELECT ON km3vo.stream, km3vo.embargoed, km3vo.release_exception, km3vo.release_log TO km3vo_service"
    )


def loading() -> None:
    op.create_table(
        "load",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("loaded_at", TIME, nullable=False, server_default=NOW),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT ON km3vo.load TO km3vo_ingest")
    op.execute("GRANT SELECT ON km3vo.load TO km3vo_service")


def identity() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False, unique=True, comment="the token itself is kept nowhere"),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, sa.CheckConstraint("audience IN ('member', 'observer')"), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False, server_default=CLOCK),
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
        sa.Column("decided_at", TIME, nullable=False, server_default=CLOCK),
        sa.Column("revoked_at", TIME),
        schema="km3vo",
    )
    op.create_table(
        "access_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False, server_default=CLOCK),
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


def jobs() -> None:
    """One row each, whose phase is the only truth about it."""
    op.create_table(
        "job",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True, comment="unguessable: who knows it may use the job"),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, comment="NULL for anonymous jobs"),
        sa.Column("client", sa.Text, comment="address of who made an anonymous job"),
        sa.Column("phase", sa.Text, nullable=False),
        # Not jsonb, which has no NUL: what clients send is kept as it came.
        sa.Column("parameters", JSON, nullable=False, comment="[[NAME, value], …]"),
        sa.Column("seconds", sa.Integer, nullable=False, comment="how long it may run"),
        sa.Column("created", TIME, nullable=False, server_default=NOW),
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
    unfinished = "phase IN ('PENDING', 'QUEUED', 'EXECUTING')"
    for name, columns, where in (
        ("job_queue", ["queued", "number"], "phase = 'QUEUED'"),
        ("job_worker", ["worker"], "phase = 'EXECUTING'"),
        ("job_owner", ["owner", "created"], "owner IS NOT NULL"),
        ("job_unfinished_owner", ["owner"], unfinished),
        ("job_unfinished_client", ["client"], unfinished),
        ("job_destruction", ["destruction"], None),
    ):
        condition = sa.text(where) if where else None
        op.create_index(name, "job", columns, schema="km3vo", postgresql_where=condition)
    # Whoever changes a phase wakes those who wait for it, in whatever process they are.
    op.execute(
        """
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
    )
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


def holdings() -> None:
    """What the public part of each table covers, its editions and their files."""
    op.create_table(
        "coverage",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column(
            "basis",
            sa.Text,
            nullable=False,
            server_default="",
            comment="the state of the table from which it was measured",
        ),
        sa.Column("rows", sa.BigInteger, nullable=False, comment="that the public sees"),
        sa.Column("moc", sa.Text, comment="ASCII MOC, or NULL when there is nothing to cover"),
        sa.Column("moc_fits", sa.LargeBinary),
        sa.Column("moc_order", sa.Integer),
        sa.Column("sky", sa.Double, comment="fraction of the sky in the MOC"),
        sa.Column("density", ARRAY(sa.Integer), comment="rows in each HEALPix pixel of order 4, nested"),
        sa.Column("mjd_from", sa.Double),
        sa.Column("mjd_to", sa.Double),
        sa.Column("joule_from", sa.Double, comment="energies of the messenger"),
        sa.Column("joule_to", sa.Double),
        sa.Column("pixel", sa.Integer, comment="HEALPix pixel of order 6 with rows, for test queries"),
        sa.Column("ra", sa.Double, comment="its centre"),
        sa.Column("dec", sa.Double),
        sa.Column("released_to", TIME, comment="latest release time among the public rows of an embargoed table"),
        sa.Column("fingerprint", sa.Text, nullable=False, comment="of the public rows"),
        sa.Column("computed_at", TIME, nullable=False),
        schema="km3vo",
    )
    op.create_table(
        "edition",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("released_to", TIME),
        sa.Column("made_at", TIME, nullable=False),
        schema="km3vo",
    )
    op.create_table(
        "download",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("extension", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("made_at", TIME, nullable=False, server_default=NOW),
        sa.ForeignKeyConstraint(["published", "number"], ["km3vo.edition.published", "km3vo.edition.number"]),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON km3vo.coverage, km3vo.edition, km3vo.download TO km3vo_service")


def registry() -> None:
    op.create_table(
        "record",
        sa.Column("identifier", sa.Text(collation="C"), primary_key=True),
        sa.Column("xml", sa.LargeBinary, comment="the resource, without its dates; NULL when deleted"),
        sa.Column("created", TIME, nullable=False),
        sa.Column("updated", TIME, nullable=False, comment="whole seconds, as OAI-PMH tells them"),
        schema="km3vo",
    )
    # LOCK … ACCESS EXCLUSIVE needs one of the last two (km3vo/registry/harvested.py says what for).
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON km3vo.record TO km3vo_service")
