"""Ways to train faster with the same result, each usable alone."""
