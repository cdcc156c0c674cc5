"""Names of the container images that the components run in on a cluster.

The tag is the version of this distribution, never `latest`: KFP's cache key holds the image name, not its digest.
"""

from importlib.metadata import version

VERSION = version("compaware")

DATA = f"compaware/data:{VERSION}"
TRAINER = f"compaware/trainer:{VERSION}"
BENCHMARK = f"compaware/benchmark:{VERSION}"
LAUNCHER = f"compaware/launcher:{VERSION}"
