"""Pipeline: a fine-tuned model, made INT8."""
