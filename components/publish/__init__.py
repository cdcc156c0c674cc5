"""Publishes a compressed model: versioned, documented, and not worse than the one before."""
