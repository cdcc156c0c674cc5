"""Distillation in plain PyTorch with the usual optimizations: the second baseline of `train_speed.py`.

The teacher runs once, batches hold sentences of similar length, and a CPU with BF16 hardware computes in BF16. The
script prints one line of JSON. Its seconds are those of the teacher's pass, the training and the evaluations.
"""

import argparse
import copy
import json
import random
import resource
import time
from collections.abc import Iterator

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax
from transformers import AutoTokenizer, PreTrainedModel, get_linear_schedule_with_warmup, set_seed

from compaware.components.core.base import cpu
from compaware.components.core.data.dataset import load_dataset_folder
from compaware.components.core.models.layers import keep_layers
from compaware.components.core.models.load import load_classifier

EVALUATION_BATCH = 64
# Batches that are sorted by length together.
POOL = 50
TEMPERATURE = 2.0
Rows = list[dict[str, torch.Tensor]]


def main() -> None:
    """Trains a student with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="Dataset folder that data_prep wrote")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True, help="teacher layers that the student keeps")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--alpha", type=float, required=True, help="weight of the distillation loss")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    set_seed(options.seed)
    torch.set_num_threads(cpu.threads())
    data, tokenizer = load_dataset_folder(options.dataset), AutoTokenizer.from_pretrained(options.teacher)
    splits: dict[str, Rows] = {}
    for name in filter(data.manifest.splits.get, ("train", "validation", "test")):
        table = data.split(name)
        tokens = tokenizer(table["text"].to_pylist(), truncation=True, max_length=128)["input_ids"]
        labels = table["label"].to_pylist()
        splits[name] = [
            {"ids": torch.tensor(ids), "label": torch.tensor(label)} for ids, label in zip(tokens, labels, strict=True)
        ]
    teacher = load_classifier(options.teacher)
    student = keep_layers(teacher, options.layers)

    started = time.monotonic()
    for row, logits in zip(splits["train"], predict(teacher, splits["train"]), strict=True):
        row["teacher_logits"] = logits
    soft_labels_s = time.monotonic() - started
    best = train(student, splits, options)
    seconds = time.monotonic() - started
    student.load_state_dict(best)
    scores = {name: accuracy(student, rows) for name, rows in splits.items() if name != "train"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "soft_labels_s": soft_labels_s, "peak_rss_bytes": peak} | scores))


def train(student: PreTrainedModel, splits: dict[str, Rows], options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Trains the student and returns its weights after the epoch with the best validation accuracy."""
    rows, best, best_score = splits["train"], {}, -1.0
    optimizer = torch.optim.AdamW(student.parameters(), options.learning_rate, fused=True)
    steps = options.epochs * -(-len(rows) // options.batch_size)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    for _ in range(options.epochs):
        student.train()
        for numbers in batches_by_length(rows, options.batch_size):
            batch = [rows[number] for number in numbers]
            logits = forward(student, batch)
            teacher_logits = torch.stack([row["teacher_logits"] for row in batch])
            hard = cross_entropy(logits, torch.stack([row["label"] for row in batch]))
            soft = kl_div(
                log_softmax(logits / TEMPERATURE, -1), softmax(teacher_logits / TEMPERATURE, -1), reduction="batchmean"
            )
            (options.alpha * TEMPERATURE**2 * soft + (1 - options.alpha) * hard).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        score = accuracy(student, splits["validation"])
        if score > best_score:
            best, best_score = copy.deepcopy(student.state_dict()), score
    return best


def batches_by_length(rows: Rows, batch_size: int) -> Iterator[list[int]]:
    """Yields shuffled batches of row numbers, each of similar length."""
    numbers = random.sample(range(len(rows)), len(rows))
    batches = []
    for start in range(0, len(numbers), POOL * batch_size):
        pool = sorted(numbers[start : start + POOL * batch_size], key=lambda number: len(rows[number]["ids"]))
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    random.shuffle(batches)
    yield from batches


def forward(model: PreTrainedModel, batch: Rows) -> torch.Tensor:
    """Pads a batch to its longest row and returns the logits, float32 (rows, labels)."""
    padding = model.config.pad_token_id or 0
    ids = torch.nn.utils.rnn.pad_sequence([row["ids"] for row in batch], batch_first=True, padding_value=padding)
    lengths = torch.tensor([len(row["ids"]) for row in batch])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    # A new context for each pass, because autocast keeps the BF16 weights until its context ends.
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu.has_bf16()):
        return model(input_ids=ids, attention_mask=mask).logits.float()


@torch.inference_mode()
def predict(model: PreTrainedModel, rows: Rows) -> torch.Tensor:
    """Returns the logits, float32 (rows, labels)."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number]["ids"]))
    logits = torch.empty(len(rows), model.config.num_labels)
    for start in range(0, len(order), EVALUATION_BATCH):
        numbers = order[start : start + EVALUATION_BATCH]
        logits[numbers] = forward(model, [rows[number] for number in numbers])
    return logits.clone()


def accuracy(model: PreTrainedModel, rows: Rows) -> float:
    """Returns the share of rows whose label is predicted."""
    labels = torch.stack([row["label"] for row in rows])
    return (predict(model, rows).argmax(-1) == labels).float().mean().item()


if __name__ == "__main__":
    main()
