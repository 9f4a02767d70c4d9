"""Jobs know the token that they were made with, to end with it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    token = sa.Column("token", sa.BigInteger, comment="personal token with which it was made; NULL: with none")
    op.add_column("job", token, schema="km3vo")
    op.create_index(
        "job_observer",
        "job",
        ["audience"],
        schema="km3vo",
        postgresql_where=sa.text("audience <> ALL (ARRAY['public', 'member'])"),
    )
