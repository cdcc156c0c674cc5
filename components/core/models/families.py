"""The stages that work for each family of models. `tests/families` tests each entry, and docs/models.md lists them.

A family is transformers' `model_type`. `core.runtimes.servable` tries models of other families before training.
"""

# Stages that are tested with a tiny model of each family → heading in the table.
STAGES = {
    "teacher": "teacher",
    "kept_layers": "student of its own layers",
    "other_family": "student of another family",
    "sparsity": "sparse",
    "int8": "INT8, by PTQ and QAT, in OpenVINO and onnxruntime",
}
FAMILIES = {
    "bert": "BERT",
    "distilbert": "DistilBERT",
    "roberta": "RoBERTa",
    "xlm-roberta": "XLM-RoBERTa",
    "electra": "ELECTRA",
    "mpnet": "MPNet",
    "albert": "ALBERT",
    "deberta-v2": "DeBERTa-v2, v3",
    "modernbert": "ModernBERT",
    "gpt2": "GPT-2",
    "qwen2": "Qwen2",
}
# Family → stage → why the stage does not work.
LIMITS = {
    "albert": {"kept_layers": "all of its layers share one set of weights"},
    "gpt2": {"sparsity": "its layers are Conv1D, which stores weights transposed"},
}
# Families that are rejected at the start, and why.
UNSUPPORTED = {
    "bart": "sequence-to-sequence, like T5 and others",
    "fnet": "OpenVINO has no operator for its Fourier transform",
    "mamba": "transformers has no sequence classifier for it",
    "vit": "transformers has no text classifier for it",
}


def limitation(family: str, stage: str) -> str | None:
    """Returns why a stage does not work for a family; None if it works or was not tested."""
    return LIMITS.get(family, {}).get(stage)


def support_table() -> str:
    """Returns Markdown with the stages that work for each family, and the families that are rejected."""
    notes = list(dict.fromkeys(reason for stages in LIMITS.values() for reason in stages.values()))
    lines = [["family", *STAGES.values()], ["---"] * (1 + len(STAGES))]
    for family, title in FAMILIES.items():
        reasons = (limitation(family, stage) for stage in STAGES)
        lines.append([title, *("yes" if reason is None else f"no ({notes.index(reason) + 1})" for reason in reasons)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    because = "; ".join(f"({number}) {note}" for number, note in enumerate(notes, start=1))
    refused = "; ".join(f"{family}: {reason}" for family, reason in UNSUPPORTED.items())
    return f"{table}\n\n{because[0].upper() + because[1:]}. These families are rejected at the start: {refused}."
