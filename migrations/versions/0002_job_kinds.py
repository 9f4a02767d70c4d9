"""Jobs of several kinds, each with a runner of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    kind = sa.Column("kind", sa.Text, nullable=False, server_default="query", comment="decides what runs it")
    op.add_column("job", kind, schema="km3vo")
    op.alter_column("job", "kind", server_default=None, schema="km3vo")
