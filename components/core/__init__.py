"""What components share, in rooms.

A room imports only from floors below its own, which `tests/components/core/test_floors.py` checks.

| floor | room | holds |
|---|---|---|
| 8 | training | trainer, objectives, losses, precision, checkpoints, length buckets, IPEX; speedups |
| 7 | stage, int8 | how any component runs: config, workspace, transfers; quantizers, PTQ, conversion, statistics |
| 6 | evaluation | scores of saved models, label order, confusion matrix, criterion |
| 5 | runtimes, sparsity | export, ONNX and OpenVINO forms, predictors; patterns, scores, schedule, masks |
| 4 | models | loading, layers, heads, families, fit of model and tokenizer |
| 3 | data | dataset, tasks, tokenizer, tokens, soft labels |
| 2 | components.storage | URIs, uploads, downloads, cache |
| 1 | base | errors, logs, files, processes, CPU, typed values |
"""
