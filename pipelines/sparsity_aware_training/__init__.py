"""Pipeline: a fine-tuned model, made sparse."""
