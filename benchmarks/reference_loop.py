"""Distillation as a typical script does it: the baseline of `train_speed.py`, which runs it in a separate process.

It uses `transformers.Trainer` with a loss that runs the teacher at every step, inputs padded to a fixed length, FP32,
and an evaluation and a checkpoint after each epoch. It prints one line of JSON.
"""

import argparse
import json
import resource
import tempfile
import time
from typing import Any

import datasets
import numpy as np
import torch
from transformers import AutoTokenizer, DataCollatorWithPadding, EvalPrediction, Trainer, TrainingArguments, set_seed

from compaware.components.core.data.dataset import load_dataset_folder
from compaware.components.core.models.layers import keep_layers
from compaware.components.core.models.load import load_classifier


class TeacherAtEveryStep(Trainer):
    """Trainer whose loss is α·T²·KL against a teacher that runs at every step, plus (1 - α)·cross-entropy."""

    def __init__(self, *, teacher: torch.nn.Module, temperature: float, alpha: float, **options: Any):
        super().__init__(**options)
        self._teacher = teacher.eval()
        self._temperature, self._alpha = temperature, alpha

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """See `Trainer.compute_loss`."""
        output = model(**inputs)
        with torch.no_grad():
            teacher_logits = self._teacher(**inputs).logits
        scale = self._temperature
        soft = torch.nn.functional.kl_div(
            torch.log_softmax(output.logits / scale, -1),
            torch.softmax(teacher_logits / scale, -1),
            reduction="batchmean",
        )
        loss = self._alpha * scale**2 * soft + (1 - self._alpha) * output.loss
        return (loss, output) if return_outputs else loss


def main() -> None:
    """Trains a student with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="Dataset folder that data_prep wrote")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True, help="teacher layers that the student keeps")
    parser.add_argument("--epochs", type=float, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--pad-to", type=int, default=128, help="tokens to pad to; 0 pads to the longest sentence of a batch"
    )
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--alpha", type=float, required=True, help="weight of the distillation loss")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    set_seed(options.seed)
    data = load_dataset_folder(options.dataset)
    tokenizer = AutoTokenizer.from_pretrained(options.teacher)
    teacher = load_classifier(options.teacher)
    splits = {}
    for name in filter(data.manifest.splits.get, ("train", "validation", "test")):
        rows = data.split(name)
        encoded = tokenizer(rows["text"].to_pylist(), truncation=True, max_length=options.pad_to or 128)
        splits[name] = datasets.Dataset.from_dict({**encoded, "labels": rows["label"].to_pylist()})
    padding: dict[str, Any] = {"padding": "max_length", "max_length": options.pad_to} if options.pad_to else {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = TeacherAtEveryStep(
            teacher=teacher,
            temperature=2.0,
            alpha=options.alpha,
            model=keep_layers(teacher, options.layers),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=options.epochs,
                learning_rate=options.learning_rate,
                per_device_train_batch_size=options.batch_size,
                per_device_eval_batch_size=options.batch_size,
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="accuracy",
                seed=options.seed,
                use_cpu=True,
                report_to=[],
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=splits["train"],
            eval_dataset=splits["validation"],
            data_collator=DataCollatorWithPadding(tokenizer, **padding),
            compute_metrics=_accuracy,
        )
        started = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - started
        accuracy = {name: trainer.evaluate(rows)["eval_accuracy"] for name, rows in splits.items() if name != "train"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_rss_bytes": peak} | accuracy))


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float(np.mean(np.argmax(prediction.predictions, -1) == prediction.label_ids))}


if __name__ == "__main__":
    main()
