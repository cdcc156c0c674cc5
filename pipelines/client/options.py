"""Arguments and options that several commands of `compaware` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from compaware.components.launch.site import WEBHOOK_SECRET
from compaware.pipelines.client.server import HOST_VARIABLE

Command = Callable[..., Any]


def _all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


pipeline_arguments = _all_of(
    click.argument("pipeline"),
    click.argument("overrides", nargs=-1, metavar="[key=value]..."),
    click.option("--config", type=click.Path(path_type=Path), help="YAML or JSON file of the pipeline's parameters"),
)
server_options = _all_of(
    click.option("--host", help=f"address of Kubeflow Pipelines (default: {HOST_VARIABLE}, else the kubeconfig)"),
    click.option("--namespace", help="your namespace, if the server has several users"),
)
run_argument = _all_of(click.argument("run"), server_options)
request_options = _all_of(
    click.option("--experiment", default="compaware", help="name of the experiment (default compaware)"),
    click.option("--service-account", help="service account of the run's pods (default: the server's)"),
    click.option("--notify", is_flag=True, help=f"report the result to the webhook of the secret {WEBHOOK_SECRET}"),
    click.option("--dry-run", is_flag=True, help="print the request without sending it"),
)
