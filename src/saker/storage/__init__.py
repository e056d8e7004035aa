"""Keeps records: SQLite under the data folder, one schema, migrated by Alembic."""
