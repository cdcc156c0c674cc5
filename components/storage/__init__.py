"""Transfers files and folders by URI (paths, file, s3, minio); incomplete uploads are never used."""

from compaware.components.storage.copies import copy
from compaware.components.storage.documents import Document, read_document, replace_document
from compaware.components.storage.folders import delete, discard, fetch, local_source, upload
from compaware.components.storage.inspection import (
    exists,
    find,
    fingerprint,
    has_unfinished_upload,
    is_empty,
    read_text,
)
from compaware.components.storage.leftovers import abandoned_uploads
from compaware.components.storage.names import record_uri, show_uris
from compaware.components.storage.uri import is_uri, join

__all__ = [
    "Document",
    "abandoned_uploads",
    "copy",
    "delete",
    "discard",
    "exists",
    "fetch",
    "find",
    "fingerprint",
    "has_unfinished_upload",
    "is_empty",
    "is_uri",
    "join",
    "local_source",
    "read_document",
    "read_text",
    "record_uri",
    "replace_document",
    "show_uris",
    "upload",
]
