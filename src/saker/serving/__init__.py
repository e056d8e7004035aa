"""Models, endpoint configurations and endpoints: the wanted state, its rules and its life cycle."""
