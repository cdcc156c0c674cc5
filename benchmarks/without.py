"""Runs a component without one of the speed-ups of its training; `train_speed.py` measures each of them.

python benchmarks/without.py first_token distillation dataset=… output=…
"""

import runpy
import sys

from compaware.components.core.models import first_token
from compaware.components.core.training.speedups import bit_dropout, frozen_layers, used_rows

_SWITCHES = {
    "dropout": (bit_dropout, "use_bit_dropout", lambda model: None),
    "first_token": (first_token, "use_first_token_only", lambda model: False),
    "frozen_states": (frozen_layers, "_MAX_BYTES", 0),
    "vocabulary": (used_rows, "_MAX_SHARE", 0.0),
}

if __name__ == "__main__":
    _, speedup, name, *words = sys.argv
    module, attribute, value = _SWITCHES[speedup]
    getattr(module, attribute)  # Fails if the attribute has been renamed, in which case `setattr` would change nothing.
    setattr(module, attribute, value)
    sys.argv = [name, *words]
    runpy.run_module(f"compaware.components.{name}", run_name="__main__", alter_sys=False)
