"""Checks whether data, teacher, student or compaware have changed since the last model was published."""
