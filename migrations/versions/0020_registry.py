"""What the public part of each table covers, its editions and their files, and the registry's records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0020"
down_revision = "0001"

TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "coverage",
        sa.Column("published", sa.Text, primary_key=True),
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
        sa.Column("made_at", TIME, nullable=False, server_default=sa.text("now()")),
        sa.ForeignKeyConstraint(["published", "number"], ["km3vo.edition.published", "km3vo.edition.number"]),
        schema="km3vo",
    )
    op.create_table(
        "record",
        sa.Column("identifier", sa.Text(collation="C"), primary_key=True),
        sa.Column("xml", sa.LargeBinary, comment="the resource, without its dates; NULL when deleted"),
        sa.Column("created", TIME, nullable=False),
        sa.Column("updated", TIME, nullable=False, comment="whole seconds, as OAI-PMH tells them"),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON km3vo.coverage, km3vo.edition, km3vo.download TO km3vo_service")
    # LOCK … ACCESS EXCLUSIVE needs one of the last two (km3vo/registry/store.py says what for).
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON km3vo.record TO km3vo_service")


def downgrade() -> None:
    for table in ("record", "download", "edition", "coverage"):
        op.drop_table(table, schema="km3vo")
