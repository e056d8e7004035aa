"""The first schema: models, endpoint configurations, endpoints, tags, access keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _named(table: str, *more: sa.Column[object]) -> None:
    op.create_table(
        table,
        sa.Column("name", sa.String(63), nullable=False),
        *more,
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=f"pk_{table}"),
    )


def upgrade() -> None:
    """Make the tables."""
    _named("models")
    _named("endpoint_configs")
    _named(
        "endpoints",
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("modified_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("arn", sa.String(256), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("arn", "key", name="pk_tags"),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("bearer_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("access_keys", "tags", "endpoints", "endpoint_configs", "models"):
        op.drop_table(table)
