"""Checks that a teacher is fine-tuned for the data and writes its soft labels."""
