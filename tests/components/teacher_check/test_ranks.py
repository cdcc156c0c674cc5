"""Several processes share the soft labels of a job, also after a restart with another number of processes."""

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from compaware.components.core.data.dataset import GROUP_ROWS
from compaware.components.core.data.soft_labels import load_soft_labels
from compaware.components.core.evaluation.evaluate import evaluate_folder
from tests.tiny import make_dataset, make_model

TWO_RANKS = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def test_a_restarted_job_computes_only_the_missing_parts(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", GROUP_ROWS + 50, 96)
    make_model(tmp_path / "fresh", data, hidden_size=16, num_hidden_layers=1)
    kept = tmp_path / "kept"
    words = ["-m", "compaware.components.teacher_check", f"dataset={data.path}", f"teacher={tmp_path}/fresh"]
    words += ["fine_tune_if_needed=true", "learning_rate=1e-2", "max_length_tokens=32", f"work_uri={kept}"]
    words += ["precision=fp32"]  # The logits are compared with those of FP32.
    words += ["training_arguments={max_steps: 60}", f"soft_labels_output={tmp_path}/soft"]
    words += ["existing_output=resume", f"output={tmp_path}/model", f"work={tmp_path}/work"]
    killed = subprocess.Popen([sys.executable, *TWO_RANKS, *words])
    while not list(kept.glob("soft_labels/*/part-*.npy")) and killed.poll() is None:
        time.sleep(0.02)
    ranks = psutil.Process(killed.pid).children()
    killed.kill()
    killed.wait()
    for process in ranks:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(ranks)
    assert not (tmp_path / "model").exists() and not (tmp_path / "soft").exists()
    # Another node has what is kept at the URI, and nothing else.
    (tmp_path / "work").rename(tmp_path / "lost")
    resumed = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    assert "resuming from checkpoint-60" in resumed.stderr
    assert re.search(r"soft labels: [12] of 2 parts of this rank exist already", resumed.stderr)
    logits = np.concatenate(list(load_soft_labels(tmp_path / "soft", data).groups()))
    answers = evaluate_folder(tmp_path / "model", data.path, "train", max_length_tokens=32, batch_size=64)
    np.testing.assert_allclose(logits, answers.logits, atol=1e-5)
    assert answers.metrics["accuracy"] > 0.9
