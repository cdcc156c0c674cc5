"""INT8: export, fake-quantize, convert, count and save for public runtimes."""
