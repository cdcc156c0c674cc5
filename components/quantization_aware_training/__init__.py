"""Makes an INT8 model that public runtimes serve."""
