"""Finds a model (folder, hub id, embedded), fetches, checks and converts it for an engine; the cache on disk."""
