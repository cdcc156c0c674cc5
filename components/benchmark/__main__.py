"""`python -m compaware.components.benchmark`."""

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.core.entrypoint import main

main("compaware.components.benchmark.measure", BenchmarkConfig)
