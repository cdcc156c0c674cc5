"""Training only the used rows of the embedding gives the same result."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.speedups import used_rows as vocabulary
from compaware.components.core.training.trainer import train
from tests.tiny import make_dataset, make_model

TABLE = "bert.embeddings.word_embeddings.weight"


def test_training_the_used_rows_equals_training_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "data", 128, 32)
    folder = make_model(tmp_path / "model", data, vocab_size=1000)
    before = load_classifier(folder).state_dict()
    checkpoint_rows: list[int] = []

    def trained(output: str) -> dict[str, torch.Tensor]:
        model = load_classifier(folder)
        workspace = Workspace(ComponentConfig(output=tmp_path / output))
        plain = {"weight_decay": 0.0}
        options = TrainingOptions(epochs=3, learning_rate=3e-3, precision="fp32", training_arguments=plain)
        train(model, load_tokenizer(folder), data, options, workspace)
        kept = next((tmp_path / f"{output}.work/checkpoints").glob("*/model.safetensors"))
        with safe_open(kept, "pt") as file:
            checkpoint_rows.append(file.get_slice(TABLE).get_shape()[0])
        return model.state_dict()

    some = trained("some")
    monkeypatch.setattr(vocabulary, "_MAX_SHARE", 0.0)
    whole = trained("whole")
    assert checkpoint_rows[0] < 100 and checkpoint_rows[1] == 1000
    assert some.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(some[name], value, msg=name)
    changed = (some[TABLE] != before[TABLE]).any(dim=1)
    assert 5 < int(changed.sum()) <= checkpoint_rows[0]
