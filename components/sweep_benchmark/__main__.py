"""`python -m compaware.components.sweep_benchmark`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.sweep_benchmark.config import SweepBenchmarkConfig

if __name__ == "__main__":
    main("compaware.components.sweep_benchmark.judge", SweepBenchmarkConfig, measures_speed=True)
