"""Loads, builds, cuts and checks classifiers, and matches their outputs with the data's labels."""
