"""The Dataset artifact, its text as tokens, and the teacher's logits for it."""
