"""Embargoed tables whose rows are released with the events of another."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("embargoed", sa.Column("follows", sa.Text, comment="published name of the other"), schema="km3vo")
    op.add_column(
        "embargoed", sa.Column("follows_column", sa.Text, comment="with the identifiers there"), schema="km3vo"
    )
