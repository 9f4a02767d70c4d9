"""From which state of the table its coverage was measured."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("coverage", sa.Column("basis", sa.Text, nullable=False, server_default=""), schema="km3vo")
    op.execute("GRANT SELECT ON km3vo.load TO km3vo_service")


def downgrade() -> None:
    op.execute("REVOKE SELECT ON km3vo.load FROM km3vo_service")
    op.drop_column("coverage", "basis", schema="km3vo")
