"""Turns a task or a data set into Parquet splits with a manifest."""
