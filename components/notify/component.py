"""KFP interface of notify."""

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, run_id: str, run_name: str) -> None:
    """Post the outcome of a run and the address of its report to a webhook.

    Use it as an exit task. The webhook's address is read from the variable COMPAWARE_WEBHOOK_URL and never logged;
    without it, the task does nothing. If the webhook fails, the task logs a warning and the run's outcome stays.

    Args:
        status: Final status of the run.
        run_id: The run's id.
        run_name: The run's name.
    """
    from compaware.components.core.base.logs import setup_logging
    from compaware.components.notify.run_outcome import find_outcome
    from compaware.components.notify.webhook import post

    setup_logging()
    post(find_outcome(run_id, run_name, status.state, status.error_message or ""))
