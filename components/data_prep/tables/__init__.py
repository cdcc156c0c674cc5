"""Reads files of any dialect, encoding and layout as tables that stay on disk."""
