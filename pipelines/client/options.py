"""Arguments and options that several commands of `compaware` share."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.components.launch.object_names import OBJECT_NAME
from compaware.components.launch.site import WEBHOOK_SECRET
from compaware.pipelines.client.server import CA_VARIABLE, HOST_VARIABLE, PIPELINE_ROOT, connect

if TYPE_CHECKING:
    from kfp import Client

Command = Callable[..., Any]
PULL_SECRETS_VARIABLE = "COMPAWARE_IMAGE_PULL_SECRETS"
SITE_VARIABLE = "COMPAWARE_SITE"


def _all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _read_images(context: click.Context, option: click.Parameter, value: str | None) -> dict[str, str] | None:
    return images.read_setting(value) if value else None


def read_pull_secrets(text: str) -> tuple[str, ...]:
    """Returns the names of secrets that a text lists, separated by commas.

    Raises:
        UserError: A name is not possible.
    """
    names = tuple(filter(None, map(str.strip, text.split(","))))
    for name in names:
        if not OBJECT_NAME.fullmatch(name):
            raise UserError(f"{PULL_SECRETS_VARIABLE}: '{name}' is no name of a secret: use a-z, 0-9, '-' and '.'")
    return names


def _read_account(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    """Returns the name of a service account.

    Raises:
        UserError: The name is not possible; the server would accept it, and the run would never start.
    """
    if name and not OBJECT_NAME.fullmatch(name):
        raise UserError(f"--service-account: '{name}' is no name of a service account: use a-z, 0-9, '-' and '.'")
    return name


pipeline_arguments = _all_of(
    click.argument("pipeline"),
    click.argument("overrides", nargs=-1, metavar="[key=value]..."),
    click.option("--config", type=click.Path(path_type=Path), help="YAML or JSON file of the pipeline's parameters"),
)
_server_settings = _all_of(
    click.option("--host", help=f"address of Kubeflow Pipelines (default: {HOST_VARIABLE}, else the kubeconfig)"),
    click.option("--namespace", help="your namespace, if the server has several users"),
    click.option(
        "--ca",
        type=click.Path(path_type=Path),
        envvar=CA_VARIABLE,
        help=f"file of certificates to trust for the address (default: {CA_VARIABLE})",
    ),
)
image_options = _all_of(
    click.option(
        "--images",
        envvar=images.VARIABLE,
        callback=_read_images,
        help=f"where the images are, such as {images.EXAMPLE} (default: {images.VARIABLE})",
    ),
    click.option(
        "--image-pull-secrets",
        "pull_secrets",
        envvar=PULL_SECRETS_VARIABLE,
        default="",
        callback=lambda context, option, value: read_pull_secrets(value),
        help=f"secrets for pulling the images, separated by commas (default: {PULL_SECRETS_VARIABLE})",
    ),
)


@dataclass(frozen=True)
class Server:
    """The Kubeflow Pipelines server of a command.

    Attributes:
        host: Its address; None for the default.
        namespace: The user's namespace; None on a server with a single user.
        ca: File of certificates to trust; None for the default ones.
    """

    host: str | None
    namespace: str | None
    ca: Path | None

    def connect(self) -> "Client":
        """Connects to the server.

        Raises:
            UserError: No server answers.
        """
        return connect(self.host, self.namespace, self.ca)

    @property
    def options(self) -> list[str]:
        """The options that another command needs to reach the same server."""
        ca = str(self.ca) if self.ca and str(self.ca) != os.environ.get(CA_VARIABLE) else None
        given = {"--host": self.host, "--namespace": self.namespace, "--ca": ca}
        return [word for name, value in given.items() if value for word in (name, value)]


def server_options(command: Command) -> Command:
    """Adds the options that name the server; the command receives them as the argument `server`."""

    @functools.wraps(command)
    def with_server(*, host: str | None, namespace: str | None, ca: Path | None, **others: Any) -> Any:
        return command(server=Server(host, namespace, ca), **others)

    return _server_settings(with_server)


run_argument = _all_of(click.argument("run"), server_options)
root_option = click.option(
    "--pipeline-root", default=PIPELINE_ROOT, help=f"where KFP stores artifacts (default: {PIPELINE_ROOT})"
)
format_option = click.option(
    "--output", "output_format", type=click.Choice(["text", "json"]), default="text", help="form of the output"
)
site_option = click.option(
    "--site",
    envvar=SITE_VARIABLE,
    type=click.Path(path_type=Path),
    help=f"YAML or JSON file of the site's settings of pods and runs (default: {SITE_VARIABLE})",
)
request_options = _all_of(
    image_options,
    site_option,
    click.option("--experiment", default="compaware", help="name of the experiment (default compaware)"),
    click.option(
        "--service-account", callback=_read_account, help="service account of the run's pods (default: the server's)"
    ),
    click.option("--notify", is_flag=True, help=f"report the result to the webhook of the secret {WEBHOOK_SECRET}"),
    click.option("--dry-run", is_flag=True, help="print the request without sending it"),
)
