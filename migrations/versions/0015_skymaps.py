"""Sky maps that pipelines send with their alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "alert_skymap",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False, comment="FITS, as it came"),
        schema="km3vo",
    )
    op.execute("GRANT SELECT, INSERT ON km3vo.alert_skymap TO km3vo_service")
