"""What components share: configuration, data, models, training, compression, evaluation."""
