"""Posts the outcome of a run to a webhook."""
