"""What a saved model scores, and what follows from it."""
