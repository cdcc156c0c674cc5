"""Reads files in the dialect, encoding and layout that they were written in, as tables that stay on disk."""
