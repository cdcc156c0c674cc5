"""Exceptions of failed jobs."""

from compaware.components.core.base.errors import UserError


class OldKindError(UserError):
    """The cluster serves a version of a kind of job that drops fields of the job; nothing was created."""


class JobError(Exception):
    """The job failed, not because of an error of the user; the message is one line."""


class UnansweredError(JobError):
    """The API server or the store does not answer; a retry of the task resumes the job."""
