"""`python -m compaware.components.benchmark`."""

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.core.stage.entrypoint import main

if __name__ == "__main__":
    main("compaware.components.benchmark.measure", BenchmarkConfig, measures_speed=True)
