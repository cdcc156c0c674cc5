"""Distils one student of a sweep and compresses it in every way that is asked for."""
