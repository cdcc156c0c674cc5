"""A small BERT in its INT8 formats, made once for all tests."""

import pytest

from compaware.components.core.int8.ptq import quantize_after_training
from compaware.components.core.int8.save import save_int8_files
from compaware.components.core.models.pairing import max_sequence_tokens
from tests.components.core.int8.small_models import ServedModel, batch, build


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """BERT, quantized after training and saved in both public forms."""
    folder = tmp_path_factory.mktemp("served")
    model = build("bert")
    calibration = [batch(8, 5 + seed, seed) for seed in range(6)]
    tuned = quantize_after_training(model, calibration, lambda graph: 1.0, passes=bool)
    save_int8_files(tuned.graph, folder, max_sequence_tokens(model.config))
    model.save_pretrained(folder / "fp32")
    return ServedModel(folder, model, tuned, (folder / "fp32" / "model.safetensors").stat().st_size)
