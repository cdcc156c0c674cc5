"""Runs a component without one of the savings of its training: `train_speed.py` measures what each is worth.

python benchmarks/without.py first_token distillation dataset=… output=…
"""

import runpy
import sys

from compaware.components.core.models import first_token
from compaware.components.core.training.speedups import (
    bit_dropout as dropout,
)
from compaware.components.core.training.speedups import (
    frozen_layers as frozen_states,
)
from compaware.components.core.training.speedups import (
    used_rows as vocabulary,
)

_SWITCHES = {
    "dropout": (dropout, "use_bit_dropout", lambda model: None),
    "first_token": (first_token, "use_first_token_only", lambda model: False),
    "frozen_states": (frozen_states, "_MOST_BYTES", 0),
    "vocabulary": (vocabulary, "_MOST", 0.0),
}

if __name__ == "__main__":
    _, saving, name, *words = sys.argv
    setattr(*_SWITCHES[saving])
    sys.argv = [name, *words]
    runpy.run_module(f"compaware.components.{name}", run_name="__main__", alter_sys=False)
