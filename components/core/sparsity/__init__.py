"""Sparse models: which weights go, when they go, how they stay gone, and how many are gone."""
