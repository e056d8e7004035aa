"""Runs migrations on the connection that `storage.database` passes in. Alembic loads this file itself."""

from __future__ import annotations

from alembic import context

from saker.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
