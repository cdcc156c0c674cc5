"""Training a classifier with transformers' Trainer."""
