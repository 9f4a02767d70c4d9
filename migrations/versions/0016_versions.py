"""Loads have numbers and can be undone; tables whose events have versions; changes that are written down before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import REGCLASS

revision = "0016"
down_revision = "0015"


class XID8(sa.types.UserDefinedType[str]):
    """The number of a transaction."""

    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.create_table(
        "versioned",
        sa.Column("published", sa.Text, primary_key=True),
        sa.Column("parent", REGCLASS, nullable=False),
        sa.Column("history", REGCLASS, nullable=False, comment="earlier versions, and what was withdrawn"),
        sa.Column("event_column", sa.Text, nullable=False),
        sa.Column(
            "changed_at", sa.TIMESTAMP(timezone=True), comment="when public rows last were changed or taken away"
        ),
        schema="km3vo",
    )
    op.execute("GRANT SELECT ON km3vo.versioned TO km3vo_service")
    op.add_column(
        "release_log", sa.Column("transaction", XID8, comment="which may change published rows"), schema="km3vo"
    )
    op.create_index(
        "release_log_transaction",
        "release_log",
        ["transaction"],
        schema="km3vo",
        postgresql_where=sa.text("transaction IS NOT NULL"),
    )
    # Random: numbers that are counted would tell, in public rows, of loads in between.
    op.add_column("load", sa.Column("number", sa.Integer), schema="km3vo")
    op.execute(
        "UPDATE km3vo.load SET number = counted.number FROM (SELECT published, sha256, "
        "row_number() OVER (ORDER BY loaded_at, file) AS number FROM km3vo.load) AS counted "
        "WHERE (load.published, load.sha256) = (counted.published, counted.sha256)"
    )
    op.drop_constraint("load_pkey", "load", schema="km3vo")
    op.create_primary_key("load_pkey", "load", ["number"], schema="km3vo")
    for column in (
        sa.Column("loaded_by", sa.Text),
        sa.Column(
            "change", sa.BigInteger, sa.ForeignKey("km3vo.release_log.id"), comment="by which it superseded others"
        ),
        sa.Column("unloaded", sa.BigInteger, sa.ForeignKey("km3vo.release_log.id"), comment="by which it was undone"),
    ):
        op.add_column("load", column, schema="km3vo")
    op.create_index(
        "load_once",
        "load",
        ["published", "sha256"],
        unique=True,
        schema="km3vo",
        postgresql_where=sa.text("unloaded IS NULL"),
    )
