"""Trains a model whose pruned weights stay zero."""
