"""Ways to train faster that leave the result alone, each usable by itself."""
