"""Scores of saved models, and decisions by them: label order and accuracy criterion."""
