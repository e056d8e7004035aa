"""Logs in one shape for every process, and the counters that `/metrics` shows."""
