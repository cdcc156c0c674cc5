"""Compiled pipelines, each compiled once in a process of tests."""

import inspect
from functools import cache, partial
from types import SimpleNamespace

from kfp.dsl import pipeline_task

from compaware.pipelines.client.specs import compile_pipeline

# KFP 2.17 reads the whole stack twice for each task to learn the name of the method that was called. The lines of
# source, which it does not use, take a second for each pipeline where tests have imported thousands of modules.
pipeline_task.inspect = SimpleNamespace(stack=partial(inspect.stack, 0))


@cache
def compiled_pipeline(name: str, notify: bool) -> str:
    """Compiles a pipeline, with the exit task or without, unless a test has done so."""
    return compile_pipeline(name, notify)
