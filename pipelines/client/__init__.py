"""The `compaware` command: runs, checks, compiles and documents the pipelines."""
