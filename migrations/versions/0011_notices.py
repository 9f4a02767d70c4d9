"""The channels of notices have names that nobody can know: any login may listen and speak on one that it can name."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, server_default="true"),
        sa.Column("secret", sa.Text, nullable=False, comment="with which the names of the channels end"),
        schema="km3vo",
    )
    op.execute("INSERT INTO km3vo.notices (secret) VALUES (replace(gen_random_uuid()::text, '-', ''))")
    op.execute("GRANT SELECT ON km3vo.notices TO km3vo_service")
    op.execute(
        """
        CREATE OR REPLACE FUNCTION km3vo.tell_of_job() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        DECLARE
            channel text := (SELECT 'km3vo_job_' || secret FROM km3vo.notices);
        BEGIN
            IF TG_OP = 'DELETE' THEN
                PERFORM pg_notify(channel, OLD.number || ' DELETED');
            ELSE
                PERFORM pg_notify(channel, NEW.number || ' ' || NEW.phase);
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE OR REPLACE FUNCTION km3vo.tell_of_alert() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            PERFORM pg_notify((SELECT 'km3vo_alert_' || secret FROM km3vo.notices), NEW.number::text);
            RETURN NULL;
        END $$
        """
    )
