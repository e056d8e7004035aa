"""The history of the schema of state.db, for Alembic."""
