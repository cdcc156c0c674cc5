"""Pipeline: a student distilled from a teacher."""
