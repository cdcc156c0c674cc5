"""Names of the container images of the components.

The tag is the version of this package and not `latest`, because KFP's cache key contains the name and not the digest.
"""

from importlib.metadata import version

VERSION = version("compaware")

DATA = f"compaware/data:{VERSION}"
TRAINER = f"compaware/trainer:{VERSION}"
BENCHMARK = f"compaware/benchmark:{VERSION}"
LAUNCHER = f"compaware/launcher:{VERSION}"
