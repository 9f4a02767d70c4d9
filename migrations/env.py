"""Alembic's entry: runs the migrations over the connection that `km3vo db upgrade` hands in (the owner's)."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="migration",
    version_table_schema="km3vo",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
