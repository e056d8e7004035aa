"""Builders and small servers that several tests share."""
