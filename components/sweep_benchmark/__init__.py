"""Measures all members of a sweep side by side and names the one to serve."""
