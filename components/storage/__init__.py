"""Artifact URIs (file, s3, minio) to local paths and back."""
