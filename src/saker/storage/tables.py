"""The tables of state.db. Alembic's migrations make them; a test holds the two together.

Times are UTC, stored as seconds since the epoch with fractions, so that they sort and compare in any database.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, LargeBinary, MetaData, String, Table

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"},
)

models = Table(
    "models",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("document", JSON, nullable=False),  # serving.Model
)

endpoint_configs = Table(
    "endpoint_configs",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("document", JSON, nullable=False),  # serving.EndpointConfig
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("status", String(32), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("modified_at", Float, nullable=False),
    Column("document", JSON, nullable=False),  # serving.Endpoint
)

tags = Table(
    "tags",
    metadata,
    Column("arn", String(256), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", String(256), nullable=False),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("secret", LargeBinary, nullable=False),  # encrypted: SigV4 needs the secret itself
    Column("bearer_hash", LargeBinary, nullable=False),  # SHA-256: a bearer key is only compared
    Column("created_at", Float, nullable=False),
    Column("is_active", Boolean, nullable=False),
)
