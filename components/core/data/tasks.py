"""The tasks that data_prep knows by name: their sources and the meaning of their columns."""

from dataclasses import dataclass

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import ProblemType


@dataclass(frozen=True)
class Task:
    """A text classification or regression task.

    Attributes:
        text_columns: The one or two columns that hold the text.
        label_names: Class names in the order of their indices in the source; empty for regression.
        metric: Primary metric, one of `evaluation.metrics.METRIC_NAMES`.
        hub_id: Data set on the Hugging Face hub; None for the built-in sample.
        hub_config: Configuration of the data set on the hub.
        label_column: The column that holds the label.
        problem_type: Classification or regression.
    """

    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    metric: str = "accuracy"
    hub_id: str | None = "nyu-mll/glue"
    hub_config: str | None = None
    label_column: str = "label"
    problem_type: ProblemType = "classification"


_SENTIMENT = ("negative", "positive")
_ENTAILMENT = ("entailment", "not_entailment")

TASKS: dict[str, Task] = {
    "sample": Task(("sentence",), _SENTIMENT, hub_id=None),
    "cola": Task(("sentence",), ("unacceptable", "acceptable"), "matthews_correlation", hub_config="cola"),
    "emotion": Task(
        ("text",), ("sadness", "joy", "love", "anger", "fear", "surprise"), hub_id="dair-ai/emotion", hub_config="split"
    ),
    "mnli": Task(("premise", "hypothesis"), ("entailment", "neutral", "contradiction"), hub_config="mnli"),
    "mrpc": Task(("sentence1", "sentence2"), ("not_equivalent", "equivalent"), "f1", hub_config="mrpc"),
    "qnli": Task(("question", "sentence"), _ENTAILMENT, hub_config="qnli"),
    "qqp": Task(("question1", "question2"), ("not_duplicate", "duplicate"), "f1", hub_config="qqp"),
    "rte": Task(("sentence1", "sentence2"), _ENTAILMENT, hub_config="rte"),
    "sst2": Task(("sentence",), _SENTIMENT, hub_config="sst2"),
    "stsb": Task(("sentence1", "sentence2"), (), "pearson", hub_config="stsb", problem_type="regression"),
    "wnli": Task(("sentence1", "sentence2"), ("not_entailment", "entailment"), hub_config="wnli"),
}


def get_task(name: str) -> Task:
    """Returns the task of this name.

    Raises:
        UserError: There is no such task.
    """
    if name not in TASKS:
        raise UserError(f"unknown task '{name}': choose from {', '.join(TASKS)}, or give your own data with data=…")
    return TASKS[name]
