"""The processes that run, time and score the candidates."""
