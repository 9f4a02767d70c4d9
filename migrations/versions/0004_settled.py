"""How many rows were public when the statistics of public rows were last renewed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name, meaning in (
        ("released_rows", "events that were released"),
        ("settled_rows", "events that were, when statistics were last renewed"),
    ):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0", comment=meaning)
        op.add_column("embargoed", column, schema="km3vo")
    op.execute(
        "UPDATE km3vo.embargoed SET released_rows = coalesce((SELECT sum(rows) FROM km3vo.release_log AS log "
        "WHERE log.published = embargoed.published AND log.what = 'release'), 0)"
    )
