"""Distils one student of a sweep, prunes it to each sparsity, and quantizes the results."""
