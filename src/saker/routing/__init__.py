"""Picks the variant and the replica for a request; pure functions."""
