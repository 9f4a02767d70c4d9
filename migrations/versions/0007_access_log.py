"""The access log keeps where a request came from, and where its answer sends the client, as to the job it has made."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    client = sa.Column("client", sa.Text, nullable=False, server_default="", comment="address, or network of IPv6")
    op.add_column("access_log", client, schema="km3vo")
    op.add_column("access_log", sa.Column("location", sa.Text, comment="of the answer; NULL: none"), schema="km3vo")
    op.alter_column("access_log", "client", server_default=None, schema="km3vo")
    op.execute(
        "COMMENT ON COLUMN km3vo.access_log.parameters IS "
        "'those that were read, as in an address, QUERY first; of others how much there was; no answers'"
    )
