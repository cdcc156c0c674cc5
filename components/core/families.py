"""Which stage works for which family of models: what `tests/families` tries, and the README shows.

A family is transformers' `model_type`. Where a model of another family comes, it is tried before it is trained (see
`core.support`).
"""

# What is tried with a tiny model of each family, by its heading in the table.
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
# Family → stage → why it cannot be done.
LIMITS = {
    "albert": {"kept_layers": "its layers are one and the same"},
    "gpt2": {"sparsity": "its layers are Conv1D, whose weights lie the other way round"},
}
# Families that are refused at the start, and why.
REFUSED = {
    "bart": "sequence-to-sequence, like T5 and others",
    "fnet": "OpenVINO has no Fourier transform of its form",
    "mamba": "transformers has no classifier of it",
    "vit": "transformers has no text classifier of it",
}


def why_not(family: str, stage: str) -> str | None:
    """Why a stage cannot be done with a family; None where it works, or was not tried."""
    return LIMITS.get(family, {}).get(stage)


def markdown() -> str:
    """The tables as Markdown: stages by family, and who is refused."""
    notes = list(dict.fromkeys(reason for stages in LIMITS.values() for reason in stages.values()))
    lines = [["family", *STAGES.values()], ["---"] * (1 + len(STAGES))]
    for family, title in FAMILIES.items():
        reasons = (why_not(family, stage) for stage in STAGES)
        lines.append([title, *("yes" if reason is None else f"no ({notes.index(reason) + 1})" for reason in reasons)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    because = "; ".join(f"({number}) {note}" for number, note in enumerate(notes, start=1))
    refused = "; ".join(f"{family}: {reason}" for family, reason in REFUSED.items())
    return f"{table}\n\n{because[0].upper() + because[1:]}. Refused at the start, with the reason: {refused}."
