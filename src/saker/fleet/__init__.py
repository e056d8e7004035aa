"""Makes the world match the wanted state: starts, watches, drains and stops worker processes."""
