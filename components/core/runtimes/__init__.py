"""Exports models to the formats that runtimes serve, and runs them."""
