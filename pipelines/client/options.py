"""Arguments and options that several commands of `compaware` have."""

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
    click.option("--host", help=f"address of Kubeflow Pipelines; {HOST_VARIABLE}, or the kubeconfig, without it"),
    click.option("--namespace", help="your namespace, where there are several users"),
)
run_argument = _all_of(click.argument("run"), server_options)
request_options = _all_of(
    click.option("--experiment", default="compaware", help="name of the experiment (default compaware)"),
    click.option("--service-account", help="of the run's pods; the server's default without it"),
    click.option("--notify", is_flag=True, help=f"tell the webhook of the secret {WEBHOOK_SECRET} how the run ended"),
    click.option("--dry-run", is_flag=True, help="print the request and send nothing"),
)
