"""Artifact URIs (plain paths, file, s3, minio) to local paths."""

from compaware.components.storage.fetch import fetch, is_uri, local_source

__all__ = ["fetch", "is_uri", "local_source"]
