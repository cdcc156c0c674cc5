"""The inputs of the component: the FP32 model, the data, and a sample of validation rows for simulation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import GROUP_ROWS, PreparedDataset, load_dataset_folder
from compaware.components.core.data.soft_labels import SoftLabels, load_soft_labels
from compaware.components.core.data.text import table_batches
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.calibration import require_classes
from compaware.components.core.int8.ptq import run_graph
from compaware.components.core.models.load import load_aligned
from compaware.components.core.models.pairing import fit_tokenizer, input_names
from compaware.components.core.runtimes.formats import TokenBatch
from compaware.components.core.runtimes.servable import require_servable
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig

# The simulated graph is slow, so it runs on a sample of the validation split.
_SIMULATED_ROWS = 1000
_BATCH_ROWS = 32


@dataclass(frozen=True)
class QuantizationInputs:
    """The checked inputs of the component.

    Attributes:
        config: The options.
        dataset: The data.
        model: The FP32 classifier, its labels in the data's order.
        folder: Folder with the model in this order; on rank 0.
        tokenizer: Its tokenizer.
        soft_labels: The teacher's logits for the training split, or None.
        simulated_rows: Numbers of the validation rows that graphs are simulated on.
    """

    config: QuantizationAwareTrainingConfig
    dataset: PreparedDataset
    model: PreTrainedModel
    folder: Path
    tokenizer: PreTrainedTokenizerBase
    soft_labels: SoftLabels | None
    simulated_rows: np.ndarray

    @classmethod
    def read(cls, config: QuantizationAwareTrainingConfig, work: Path) -> "QuantizationInputs":
        """Loads and checks the inputs.

        Args:
            config: The options.
            work: Folder for a copy of a model whose labels have another order than the data's.

        Raises:
            UserError: The model does not fit the data, or the soft labels belong to other data.
        """
        dataset = load_dataset_folder(config.dataset)
        require_classes(config.calibrate, dataset.manifest)
        soft_labels = load_soft_labels(config.soft_labels, dataset) if config.soft_labels else None
        model, folder = load_aligned(config.model, dataset.manifest, work)
        tokenizer = load_tokenizer(config.model)
        require_servable(model, tokenizer)
        fit_tokenizer(tokenizer, model, config.max_length_tokens)
        rows = _sample(dataset.manifest.splits["validation"], _SIMULATED_ROWS, config.seed)
        return cls(config, dataset, model, folder, tokenizer, soft_labels, rows)

    def calibration_batches(self) -> list[TokenBatch]:
        """Returns batches of training rows, sampled by the seed, to calibrate activation ranges on."""
        rows = _sample(self.dataset.manifest.splits["train"], self.config.calibration_rows, self.config.seed)
        return [batch for _, batch in self._batches(_take(self.dataset, "train", rows))]

    def simulate(self, graph: torch.fx.GraphModule) -> np.ndarray:
        """Runs a graph on the `simulated_rows` of validation and returns the logits, (rows, labels)."""
        table = _take(self.dataset, "validation", self.simulated_rows)
        logits = np.empty((table.num_rows, self.model.config.num_labels), np.float32)
        progress, done = Progress("row", table.num_rows), 0
        for indices, batch in self._batches(table):
            logits[indices] = run_graph(graph, batch)
            done += len(indices)
            progress.update(done, "simulated INT8")
        return logits

    def simulated_labels(self) -> np.ndarray:
        """Returns the labels of the `simulated_rows`."""
        return self.dataset.labels("validation")[self.simulated_rows]

    def _batches(self, table: pa.Table) -> list[tuple[np.ndarray, TokenBatch]]:
        names = input_names(self.model)
        return list(table_batches(table, self.tokenizer, names, self.config.max_length_tokens, _BATCH_ROWS))


def _take(dataset: PreparedDataset, split: str, rows: np.ndarray) -> pa.Table:
    """Returns the rows of a split with these ascending numbers; reads only the row groups that hold them."""
    groups, within = np.divmod(rows, GROUP_ROWS)
    numbers = np.unique(groups)
    tables = zip(numbers, dataset.groups(split, numbers), strict=True)
    return pa.concat_tables([table.take(pa.array(within[groups == number])) for number, table in tables])


def _sample(rows: int, limit: int, seed: int) -> np.ndarray:
    """Samples at most `limit` of the row numbers 0 to `rows` - 1, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
