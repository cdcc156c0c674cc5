"""Figures of the predictions beside the metric: classes, calibration, slices, disagreements and drift."""
