"""Says whether data, teacher, student or product have changed since the last model was published."""
