"""Says whether data, teacher or product have changed since the last model was published."""
