"""Classifiers: loaded, built, cut, checked and matched to the data's labels."""
