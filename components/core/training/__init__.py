"""Trains classifiers with transformers' Trainer."""
