"""`summary.json`: what a stage did and measured, kept inside the artifact that it made."""

import math
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from compaware.components.core.base.cpu import machine_facts
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text

FILE_NAME = "summary.json"
# A measured number. JSON has no NaN: null is written for it, and read back as NaN.
Score = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class Summary(BaseModel):
    """Metrics and facts of one finished stage.

    Attributes:
        component: Name of the component that ran.
        version: Version of this package.
        config: The validated configuration that it ran with.
        metrics: Flat numbers with the same names in every run, for charts and comparisons.
        facts: Whatever else a report shows (tables, histories, notes), as JSON.
        machine: CPU, threads and library versions that the figures were measured with.
        identity: Of the settings and inputs that it follows from (see `identity_of`).
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
        """Builds a summary of this process's run."""
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
        """Reads the summary of an artifact folder.

        Raises:
            UserError: The folder has none, or not one of ours, so it was not made by a finished stage.
        """
        file = Path(folder) / FILE_NAME
        if not file.is_file():
            raise UserError(f"{folder} has no {FILE_NAME}: give a folder that a finished component wrote")
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise UserError(f"{file} is damaged, or no finished component wrote it: make {folder} again") from error

    def save(self, folder: Path) -> None:
        """Writes `summary.json` into `folder`."""
        write_text(folder / FILE_NAME, self.model_dump_json(indent=2) + "\n")
