"""KFP components that compress Hugging Face text classifiers, and what they share."""
