"""Keys of transformers.TrainingArguments that `training_arguments` must not contain, with the reason."""

import ast
import difflib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

_PUBLISHES = "training components do not publish and take no secrets; use the component publish"
_REPORTS = "progress is written to the log and the summary only"
_PARALLEL = "processes train together with DDP only, which the launcher starts"
_RESUMES = "a resumed run would differ from the interrupted one"
_EVALUATES = "the validation metric is computed from the logits and labels of all rows"
_NO_EFFECT = "it has no effect here"
_PRECISION = "set `precision` instead"
_MANAGED = "compaware sets it (see the component's options)"

REFUSED = {
    **dict.fromkeys(
        ("push_to_hub", "hub_token", "hub_model_id", "hub_strategy", "hub_private_repo", "hub_always_push"), _PUBLISHES
    ),
    **dict.fromkeys(("hub_revision", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"), _PUBLISHES),
    **dict.fromkeys(("report_to", "run_name", "project"), _REPORTS),
    **dict.fromkeys(("deepspeed", "fsdp", "fsdp_config", "parallelism_config", "accelerator_config"), _PARALLEL),
    **dict.fromkeys(("local_rank", "use_liger_kernel", "liger_kernel_config"), _PARALLEL),
    **dict.fromkeys(
        ("resume_from_checkpoint", "save_only_model", "ignore_data_skip", "enable_jit_checkpoint"), _RESUMES
    ),
    **dict.fromkeys(("restore_callback_states_from_checkpoint", "save_on_each_node", "auto_find_batch_size"), _RESUMES),
    **dict.fromkeys(("prediction_loss_only", "batch_eval_metrics", "eval_do_concat_batches"), _EVALUATES),
    **dict.fromkeys(("eval_use_gather_object", "include_for_metrics", "dataloader_drop_last"), _EVALUATES),
    **dict.fromkeys(("do_train", "do_eval", "do_predict", "length_column_name"), _NO_EFFECT),
    **dict.fromkeys(("fp16", "fp16_full_eval", "bf16", "bf16_full_eval"), _PRECISION),
    **dict.fromkeys(
        ("output_dir", "num_train_epochs", "learning_rate", "per_device_train_batch_size", "seed"), _MANAGED
    ),
    **dict.fromkeys(("metric_for_best_model", "greater_is_better", "load_best_model_at_end"), _MANAGED),
    **dict.fromkeys(("remove_unused_columns", "label_names", "label_smoothing_factor", "disable_tqdm"), _MANAGED),
    **dict.fromkeys(("use_cpu", "ddp_backend"), _MANAGED),
}


def refuse_arguments(keys: Iterable[str]) -> None:
    """Rejects unknown keys and the keys in `REFUSED`.

    Raises:
        ValueError: Names the first such key and the reason, but not its value, which may be a secret.
    """
    keys = list(keys)
    known = known_arguments() if keys else set()
    for key in keys:
        if key in REFUSED:
            raise ValueError(f"training_arguments must not have '{key}': {REFUSED[key]}")
        if known and key not in known:
            close = difflib.get_close_matches(key, known - set(REFUSED), n=1)
            hint = f"did you mean '{close[0]}'?" if close else "see transformers.TrainingArguments"
            raise ValueError(f"training_arguments has an unknown key '{key}': {hint}")


def known_arguments() -> set[str]:
    """Returns the fields of transformers.TrainingArguments, read from its source because an import takes seconds.

    The set is empty if transformers is not installed, as in a launcher.
    """
    package = importlib.util.find_spec("transformers")
    if package is None or not package.origin:
        return set()
    module = ast.parse(Path(package.origin).with_name("training_args.py").read_text(encoding="utf-8"))
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments"]
    fields = [node.target for part in classes for node in part.body if isinstance(node, ast.AnnAssign)]
    return {field.id for field in fields if isinstance(field, ast.Name)}
