"""`summary.json`: the configuration and metrics of a stage, saved in its output folder."""

import math
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from compaware.components.core.base.cpu import machine_facts
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text

FILE_NAME = "summary.json"
# A measured number. JSON has no NaN, so NaN is written as null and read back as NaN.
Score = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class Summary(BaseModel):
    """Metrics and facts of one finished stage.

    Attributes:
        component: Name of the component that ran.
        version: Version of this package.
        config: The validated configuration that it ran with.
        metrics: Numbers with the same names in every run, for charts and comparisons.
        facts: Other content of the report (tables, histories, notes), as JSON.
        machine: CPU, threads and library versions of the measurements.
        identity: Hash of the settings and inputs (see `identity_of`).
    """

    component: str
    version: str
    config: dict[str, Any]
    metrics: dict[str, Score]
    facts: dict[str, Any]
    machine: dict[str, Any]
    identity: str = ""

    @classmethod
    def create(
        cls, component: str, config: BaseModel, metrics: dict[str, float], facts: dict[str, Any] | None = None
    ) -> "Summary":
        """Creates the summary of a run in this process."""
        return cls(
            component=component,
            version=version("compaware"),
            config=config.model_dump(mode="json"),
            metrics={name: float(value) for name, value in metrics.items()},
            facts=facts or {},
            machine=machine_facts(),
        )

    @classmethod
    def load(cls, folder: str | Path) -> "Summary":
        """Loads the summary of an output folder.

        Raises:
            UserError: The folder has no valid summary, so no finished stage wrote it.
        """
        file = Path(folder) / FILE_NAME
        if not file.is_file():
            raise UserError(f"{folder} has no {FILE_NAME}: give a folder that a finished component wrote")
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise UserError(f"{file} is damaged or not from a component: run the component again") from error

    def save(self, folder: Path) -> None:
        """Writes `summary.json` into `folder`."""
        write_text(folder / FILE_NAME, self.model_dump_json(indent=2) + "\n")
