"""KFP interface of notify."""

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, run_id: str, run_name: str) -> None:
    """Post how a run ended, and where its report is, to a webhook.

    For exit tasks. The webhook's address comes from the variable COMPAWARE_WEBHOOK_URL alone and is never logged;
    without it the task does nothing. A webhook that fails is a warning: the run ends as it would have.

    Args:
        status: How the stages ended.
        run_id: The run's id.
        run_name: Its name.
    """
    from compaware.components.core.base.logs import setup_logging
    from compaware.components.notify.webhook import Ending, post

    setup_logging()
    post(Ending(run_id, run_name, status.state, status.error_message or ""))
