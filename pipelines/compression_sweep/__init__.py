"""Pipeline compression_sweep."""
