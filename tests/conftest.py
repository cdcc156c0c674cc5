"""What all tests share."""

import os

# As the components' entry points do: threads that spin while they wait make tests slow on busy CPUs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Tests are about CPUs, of which ranks can share one; a GPU that is there takes no part.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
