"""Files and folders behind URIs (plain paths, file, s3, minio): fetched, uploaded, never taken for whole when not."""

from compaware.components.storage.folders import delete, exists, fetch, find, local_source, read_text, upload
from compaware.components.storage.uri import is_uri

__all__ = ["delete", "exists", "fetch", "find", "is_uri", "local_source", "read_text", "upload"]
