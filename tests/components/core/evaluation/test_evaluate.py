"""Evaluation runs the files on disk in a new process and returns logits in the data's order."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.text import sorted_batches
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation import evaluate as evaluation
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.evaluation.metrics import compute_metrics
from compaware.components.core.models.load import load_classifier
from compaware.components.core.runtimes import predictors as runtimes
from tests.tiny import make_dataset, make_model


@pytest.mark.parametrize("kind", ["three_class", "similarity"])
def test_logits_come_in_row_order_with_the_data_s_metrics(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A rank of a distributed training evaluates alone, and does not wait for others.
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=50, kind=kind)
    folder = make_model(tmp_path / "model", data)
    found = evaluate_folder(folder, data.path, batch_size=7, max_length_tokens=16)
    table = data.split("validation")
    model, tokenizer = load_classifier(folder).eval(), load_tokenizer(folder)
    texts = [table.column(name).to_pylist() for name in ("text", "text_pair") if name in table.column_names]
    with torch.no_grad():
        encoded = tokenizer(*texts, truncation=True, max_length=16, padding=True, return_tensors="pt")
        expected = model(**encoded).logits.numpy()
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    metrics = compute_metrics(data.manifest.metric, expected, table.column("label").to_numpy())
    assert found.metrics == pytest.approx(metrics, abs=1e-4)
    assert next(iter(found.metrics)) == data.manifest.metric
    assert found.seconds > 0
    assert os.environ["WORLD_SIZE"] == "2"


class SlowAtFirst:
    """A model in a runtime that takes 100 s for the first batch of each shape and 1 s for any other."""

    input_names = ("input_ids", "attention_mask")

    def __init__(self) -> None:
        self.clock, self.seen = 0.0, set[tuple[int, ...]]()

    def predict(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        shape = batch["input_ids"].shape
        self.clock += 1 if shape in self.seen else 100
        self.seen.add(shape)
        return np.zeros((shape[0], 2), np.float32)


@pytest.mark.parametrize(("warm", "seconds"), [(True, {1}), (False, {1, 100})])
def test_a_warm_evaluation_times_no_shape_that_the_runtime_sees_for_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: bool, seconds: set[int]
) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=50)
    model, times = SlowAtFirst(), [0.0]
    monkeypatch.setattr(runtimes, "open_runtime", lambda *_, **__: model)
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: times.append(model.clock) or model.clock)
    folder = make_model(tmp_path / "model", data)
    found = evaluation._evaluate(folder, data.path, "validation", "torch", "fp32", 16, 4, 1, warm)
    assert set(np.diff(times[1:])[::2]) == seconds
    assert found.seconds == sum(np.diff(times[1:])[::2])


def test_a_user_error_is_raised_in_the_parent_in_one_line(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    with pytest.raises(UserError, match="has no split 'test': choose from"):
        evaluate_folder(folder, data.path, "test")
    with pytest.raises(UserError, match="no model folder"):
        evaluate_folder(tmp_path / "missing", data.path)


def test_an_evaluation_that_breaks_is_an_error_and_the_next_one_works(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    with pytest.raises(ValueError, match="zero") as raised:
        evaluate_folder(folder, data.path, batch_size=0)
    assert "in _evaluate" in str(raised.value.__cause__)
    assert "Traceback" not in capfd.readouterr().err
    assert len(evaluate_folder(folder, data.path).logits) == 8


class KilledAtFirstUse:
    """A batch size whose use ends the process, as the kernel does where memory is lacking."""

    def __index__(self) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1


class BatchSizeError(Exception):
    """An exception that cannot be made again from its message alone, as pickle tries."""

    def __init__(self, size: int, reason: str):
        super().__init__(f"batch size {size}: {reason}")


class WrongAtFirstUse:
    """A batch size whose use raises an exception that cannot be sent to another process."""

    def __index__(self) -> int:
        raise BatchSizeError(7, "unlucky")


def test_a_killed_evaluation_is_an_error_and_the_next_one_works(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    with pytest.raises(RuntimeError, match=f"evaluates {folder} ended unexpectedly"):
        evaluate_folder(folder, data.path, batch_size=KilledAtFirstUse())  # type: ignore[arg-type]
    assert len(evaluate_folder(folder, data.path).logits) == 8


def test_an_exception_that_cannot_be_pickled_is_replaced_by_its_message(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    with pytest.raises(RuntimeError, match="BatchSizeError: batch size 7: unlucky") as raised:
        evaluate_folder(folder, data.path, batch_size=WrongAtFirstUse())  # type: ignore[arg-type]
    assert "in _evaluate" in str(raised.value.__cause__)


def test_an_evaluation_ends_with_its_parent(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    script = f"""
import os, time
from pathlib import Path
from compaware.components.core.evaluation import evaluate as evaluation

class Endless:
    def __index__(self):
        Path({str(tmp_path)!r}, "pids").write_text(f"{{os.getppid()}} {{os.getpid()}}\\n")
        time.sleep(100)

evaluation.prepare_evaluation()
evaluation.evaluate_folder({str(folder)!r}, {str(data.path)!r}, batch_size=Endless())
"""
    pids = tmp_path / "pids"
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        while not (pids.is_file() and pids.read_text().endswith("\n")) and parent.poll() is None:
            time.sleep(0.02)
        parent.kill()
    children = [Path("/proc", pid) for pid in pids.read_text().split()]
    end = time.monotonic() + 20
    while any(map(_is_alive, children)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(_is_alive, children))


def _is_alive(process: Path) -> bool:
    try:
        return ") Z " not in (process / "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_interrupted_evaluation_does_not_leave_its_result_to_the_next_one(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=24, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    evaluate_folder(folder, data.path)
    handler = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(TimeoutError):
            evaluate_folder(folder, data.path, "train")
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert len(evaluate_folder(folder, data.path).logits) == 8


def test_a_copy_that_was_killed_is_an_error_and_the_next_evaluation_works(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    # In a process of its own, since this one has computed already.
    script = f"""
import multiprocessing
from compaware.components.core.evaluation import evaluate as evaluation

evaluation.prepare_evaluation()
for _ in range(2):
    print(len(evaluation.evaluate_folder({str(folder)!r}, {str(data.path)!r}).logits))
for process in multiprocessing.active_children():
    process.kill()
    process.join()
try:
    evaluation.evaluate_folder({str(folder)!r}, {str(data.path)!r})
except RuntimeError as error:
    print("ended unexpectedly" in str(error))
print(len(evaluation.evaluate_folder({str(folder)!r}, {str(data.path)!r}).logits))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["8", "8", "True", "8"], done.stderr


def test_threads_get_the_results_of_their_own_evaluations(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", train_rows=24, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    splits = ["train", "validation"] * 4
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda split: len(evaluate_folder(folder, data.path, split).logits), splits)
    assert list(found) == [24, 8] * 4


def test_where_there_is_a_gpu_evaluations_are_forked_from_a_process_without_torch(tmp_path: Path) -> None:
    """A stand-in says that there is a GPU."""
    data = make_dataset(tmp_path / "data", train_rows=8, validation_rows=8)
    folder = make_model(tmp_path / "model", data)
    script = f"""
from multiprocessing import forkserver
from pathlib import Path
import torch
from compaware.components.core.evaluation import evaluate as evaluation

evaluation.device = lambda: torch.device("cuda")
evaluation.prepare_evaluation()
assert len(evaluation.evaluate_folder({str(folder)!r}, {str(data.path)!r}).logits) == 8
server = forkserver._forkserver._forkserver_pid
print("torch" in Path(f"/proc/{{server}}/maps").read_text())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "False\n", done.stderr


@settings(deadline=None, max_examples=50)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=40), batch_size=st.integers(1, 12))
def test_batches_hold_every_row_once_padded_to_their_longest(lengths: list[int], batch_size: int) -> None:
    ids = [[row + 5] * length for row, length in enumerate(lengths)]
    columns = {"input_ids": ids, "attention_mask": [[1] * length for length in lengths]}
    seen: list[int] = []
    for indices, batch in sorted_batches(columns, batch_size, pad_token_id=3):
        seen += indices.tolist()
        assert batch["input_ids"].shape[1] == max(lengths[index] for index in indices)
        for position, index in enumerate(indices):
            kept = batch["attention_mask"][position].astype(bool)
            assert batch["input_ids"][position][kept].tolist() == ids[index]
            assert (batch["input_ids"][position][~kept] == 3).all()
    assert sorted(seen) == list(range(len(lengths)))


def test_a_model_from_elsewhere_is_evaluated_within_its_own_length(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 24, 12)
    folder = make_model(tmp_path / "model", data, max_position_embeddings=8)
    assert evaluate_folder(folder, data.path, max_length_tokens=1024).logits.shape == (12, 2)
