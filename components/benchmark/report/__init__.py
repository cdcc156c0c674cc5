"""The report: sentences, tables and charts drawn from a `Benchmark`, and their HTML and Markdown page."""
