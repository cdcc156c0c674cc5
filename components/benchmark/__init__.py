"""Measures all candidates side by side and writes the report."""
