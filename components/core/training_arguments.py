"""Keys of transformers.TrainingArguments that `training_arguments` must not have, with the reason."""

from collections.abc import Iterable

_PUBLISHES = "a training publishes nothing and takes no secrets; the component publish does that"
_REPORTS = "progress is in the log and in the summary; nothing is reported elsewhere"
_PARALLEL = "DDP is the only way that processes share a training here; the launcher starts it"
_RESUMES = "a run that is resumed would not be the run that was interrupted"
_EVALUATES = "the validation metric is computed over all rows from logits and labels"
_NO_EFFECT = "it does nothing here"
_PRECISION = "set precision instead"

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
    **dict.fromkeys(("fp16", "fp16_full_eval", "bf16_full_eval"), _PRECISION),
}


def refuse_arguments(keys: Iterable[str]) -> None:
    """Refuses keys that would publish, take secrets, start other engines, or break what a training promises.

    Raises:
        ValueError: Names the first such key and the reason; never its value, which may be a secret.
    """
    for key in keys:
        if key in REFUSED:
            raise ValueError(f"training_arguments must not have '{key}': {REFUSED[key]}")
