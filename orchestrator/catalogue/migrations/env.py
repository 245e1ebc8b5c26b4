"""Read by alembic: runs the steps on the connection, and in the transaction, of `orchestrator.catalogue.migrating`."""

from alembic import context

from orchestrator.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
