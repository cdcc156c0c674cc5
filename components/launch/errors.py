"""How a training ends when not well."""


class JobError(Exception):
    """The training failed, and not by a mistake of the user; the message is one line."""


class UnansweredError(JobError):
    """What the training needs does not answer: the same task, tried again, goes on with it."""
