"""What all tests share."""

import gc
import os

# Tests have the images that the compiled pipelines name.
os.environ.pop("COMPAWARE_IMAGES", None)
os.environ.pop("COMPAWARE_IMAGE_PULL_SECRETS", None)
# As the components' entry points do: threads that spin while they wait make tests slow on busy CPUs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Tests are about CPUs, of which ranks can share one; a GPU that is there takes no part.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def pytest_collection() -> None:
    """Stops the garbage collection during the imports, as the components do: it takes a quarter of their time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Resumes it without the objects of the imported modules, which live as long as the tests."""
    gc.enable()
    gc.freeze()
