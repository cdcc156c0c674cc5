"""Exceptions of failed jobs."""


class JobError(Exception):
    """The job failed, not because of an error of the user; the message is one line."""


class UnansweredError(JobError):
    """The API server or the store does not answer; a retry of the task resumes the job."""
