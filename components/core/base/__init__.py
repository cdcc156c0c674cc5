"""Errors, logs, files, processes and typed values; imports no other room."""
