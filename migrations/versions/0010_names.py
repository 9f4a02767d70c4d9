"""People of the identity provider are called SUB@ISSUER: a ``sub`` may be the name of a token's owner by chance.

Jobs and observers of names that never had a personal token are the provider's people, and get their new names. Those
that had one stay with the tokens' owner.
"""

import sqlalchemy as sa
from alembic import op

from km3vo.settings import Oidc

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    key = "observer_grant_observer_fkey"
    op.drop_constraint(key, "observer_grant", schema="km3vo")
    op.create_foreign_key(
        key,
        *("observer_grant", "observer", ["observer"], ["name"]),
        source_schema="km3vo",
        referent_schema="km3vo",
        onupdate="CASCADE",
    )
    # Without a provider there are none of its people.
    if place := Oidc().issuer.partition("://")[2]:
        for rename in (
            "UPDATE km3vo.job SET owner = owner || '@' || :place "
            "WHERE owner IS NOT NULL AND owner NOT IN (SELECT owner FROM km3vo.token)",
            "UPDATE km3vo.observer SET name = name || '@' || :place WHERE name NOT IN (SELECT owner FROM km3vo.token)",
        ):
            op.get_bind().execute(sa.text(rename), {"place": place})
