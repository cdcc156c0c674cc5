"""Models in the form that a runtime serves, and the runtimes that run them."""
