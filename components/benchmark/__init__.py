"""Measures every candidate side by side and writes the report."""
