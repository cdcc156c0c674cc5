"""Pipeline: a distilled student, made INT8."""
