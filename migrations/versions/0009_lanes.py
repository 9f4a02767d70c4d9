"""Two lanes of jobs: short ones never wait for long ones."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    lane = sa.Column("lane", sa.Text, nullable=False, server_default="short", comment="whose slots it waits for")
    op.add_column("job", lane, schema="km3vo")
    op.create_check_constraint("job_lane", "job", "lane IN ('short', 'long')", schema="km3vo")
    estimate = sa.Column("estimate", sa.Double, comment="seconds that the planner thinks of it; for public jobs")
    op.add_column("job", estimate, schema="km3vo")
    taken = sa.Column("taken", sa.DateTime(timezone=True), comment="when a worker last took it")
    op.add_column("job", taken, schema="km3vo")
    op.create_index("job_taken", "job", ["taken"], schema="km3vo", postgresql_where=sa.text("taken IS NOT NULL"))
    # Its one row is locked by whoever takes a job, so that shares are kept: the service may wait for no advisory lock.
    op.create_table("job_taking", sa.Column("one", sa.Boolean, primary_key=True), schema="km3vo")
    op.execute("INSERT INTO km3vo.job_taking VALUES (true)")
    op.execute("GRANT SELECT, UPDATE ON km3vo.job_taking TO km3vo_service")
