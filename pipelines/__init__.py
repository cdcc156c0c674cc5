"""The pipelines and the client that runs them."""
