"""Where anonymous jobs come from, so that nobody has the queue for himself."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("job", sa.Column("client", sa.Text, comment="address of who made an anonymous job"), schema="km3vo")
    unfinished = sa.text("phase IN ('PENDING', 'QUEUED', 'EXECUTING')")
    for column in ("owner", "client"):
        op.create_index(f"job_unfinished_{column}", "job", [column], schema="km3vo", postgresql_where=unfinished)


def downgrade() -> None:
    for column in ("owner", "client"):
        op.drop_index(f"job_unfinished_{column}", schema="km3vo")
    op.drop_column("job", "client", schema="km3vo")
