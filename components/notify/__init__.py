"""Tells a webhook how a run ended."""
