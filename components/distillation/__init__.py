"""Trains a student on the soft labels of a teacher."""
