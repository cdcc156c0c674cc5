"""What everything else stands on: errors, logs, files, processes, and typed values."""
