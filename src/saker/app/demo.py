"""Deploys the embedded model as endpoint `demo`, once: who deletes it keeps it deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saker.core.errors import AlreadyExists
from saker.serving.base import Container, EndpointConfig, Model, Variant

if TYPE_CHECKING:
    from saker.app.platform import Platform

NAME = "demo"
VARIANT = "AllTraffic"


async def deploy_demo(platform: Platform) -> None:
    """Make model, configuration and endpoint, unless this data folder has had them."""
    marker = platform.settings.home / ".demo-deployed"
    if marker.exists():
        return
    now = platform.clock.now().timestamp()
    environment = {"HF_MODEL_ID": "embedded"}
    container = Container(environment=environment)
    described = {"PrimaryContainer": {"Environment": environment}}
    variant = Variant(name=VARIANT, model_name=NAME)
    row = {"VariantName": VARIANT, "ModelName": NAME, "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
    try:
        await platform.models.add(Model(NAME, now, container, described), {})
        await platform.configs.add(EndpointConfig(NAME, now, (variant,), {"ProductionVariants": [row]}), {})
        await platform.endpoints.create(NAME, NAME, {})
    except AlreadyExists:
        pass  # someone's own `demo`, or a start that was cut off right here
    marker.touch()
