"""Under DDP all ranks have the same weights and the same ranges."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.tiny import make_dataset, make_model

TRAIN = """
import os, pathlib, sys
from safetensors.torch import save_file
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.data.dataset import load_dataset_folder
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier, FreezeObservers
from compaware.components.core.models.load import load_classifier
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.training.trainer import train
from compaware.components.core.stage.workspace import Workspace
root = pathlib.Path(sys.argv[1])
model = FakeQuantizedClassifier(load_classifier(root / "model"))
train(
    model, load_tokenizer(root / "model"), load_dataset_folder(root / "data"),
    TrainingOptions(epochs=4, learning_rate=3e-3, batch_size=16, precision="fp32"),
    Workspace(ComponentConfig(output=root / "out")),
    callbacks=[FreezeObservers(model, 0.25)],
)
save_file(model.state_dict(), root / f"rank{os.environ['RANK']}.safetensors")
"""


def test_two_ranks_end_with_the_same_weights_and_ranges(tmp_path: Path) -> None:
    make_model(tmp_path / "model", make_dataset(tmp_path / "data", 128, 32))
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, str(script), str(tmp_path)], check=True)
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    scales = [name for name in first if name.endswith("scale")]
    # Fourteen linears and three embeddings have weights; linears with the same input share its range.
    assert len(scales) >= 14 + 3 + 8
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(
        first["graph.model.classifier.weight"], load_file(tmp_path / "model/model.safetensors")["classifier.weight"]
    )
