"""What all tests share."""

import os

# Tests have the images that the compiled pipelines name.
os.environ.pop("COMPAWARE_IMAGES", None)
os.environ.pop("COMPAWARE_IMAGE_PULL_SECRETS", None)
# As the components' entry points do: threads that spin while they wait make tests slow on busy CPUs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Tests are about CPUs, of which ranks can share one; a GPU that is there takes no part.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
