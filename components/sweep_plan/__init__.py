"""Multiplies a sweep's lists out to the students that are trained."""
