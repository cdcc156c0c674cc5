"""The `compaware` command runs, submits, schedules, validates, lists, compiles and documents pipelines.

Exit codes: 0 success, 1 a stage failed, 2 a mistake of the user, 70 a bug, 75 a service does not respond. The last line
on standard error gives the reason.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from compaware.components.core.base.closed_pipes import SIGPIPE_EXIT_CODE, ignore_closed_pipes
from compaware.components.core.base.errors import UNAVAILABLE_EXIT_CODE, UnavailableError, UserError
from compaware.components.core.base.faults import report
from compaware.components.core.stage.interface import option_names
from compaware.components.launch.pod_settings import SiteSettings
from compaware.components.storage.path_or_uri import parse_path_or_uri
from compaware.pipelines.client import catalog, cluster, validation
from compaware.pipelines.client.forms import Form
from compaware.pipelines.client.options import image_options, pipeline_arguments, site_option
from compaware.pipelines.client.site import read_site

STAGE_FAILED = 1
USER_ERROR = 2
INTERRUPTED = 130
# Sentences of the report that `run` prints: what to serve, how sure that is, and which rows decided.
_PRINTED_WORDS = 3


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line and exits.

    Args:
        words: The arguments; by default those of this process.
    """
    words = list(sys.argv[1:] if words is None else words)
    # `run` ignores a closed pipe, since its results are files.
    with ignore_closed_pipes(None if words[:1] == ["run"] else SIGPIPE_EXIT_CODE):
        sys.exit(_exit_code(words))


def _exit_code(words: list[str]) -> int:
    try:
        with compaware.make_context("compaware", words) as context:
            return int(compaware.invoke(context) or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return USER_ERROR
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except UnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNAVAILABLE_EXIT_CODE
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return report(error)


@click.group(
    help=(__doc__ or "").splitlines()[0],
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def compaware() -> None:
    pass


@compaware.command("run", help="run a pipeline on this machine")
@pipeline_arguments
@click.option("--output", help="folder for report, models and state (default: runs/PIPELINE)")
@click.option(
    "--runner",
    type=click.Choice(["process", "docker"]),
    default="process",
    help="docker: run each task in a container of the cluster's images",
)
def _run(pipeline: str, overrides: tuple[str, ...], config: Path | None, output: str | None, runner: str) -> int:
    arguments = validation.load_arguments(catalog.spec(pipeline), config, overrides)
    # Imported here, since KFP and the benchmark's types are slow to import and the checks above do not need them.
    from compaware.pipelines.client import local, results
    from compaware.pipelines.client.view import PUBLISH_STAGE, REPORT_STAGES

    folder = _output(output, pipeline)
    local.prepare_output(folder, pipeline, arguments)
    stages = local.run(pipeline, arguments, folder, runner)
    for stage in stages:
        if stage.name in REPORT_STAGES and not stage.failed:
            measured = results.collect(folder, stage)
            print("", results.table(measured), "", *measured.words[:_PRINTED_WORDS], "", sep="\n")
            print(f"report: {folder / 'report.html'}\nmodels: {folder / 'models'}")
        if stage.name == PUBLISH_STAGE and not stage.failed and arguments.get(catalog.WRITTEN):
            print(f"history: {results.collect_history(folder, stage)}")
    last = stages[-1]
    if last.failed:
        reason = last.reason or last.last_line or "it printed nothing"
        print(f"error: {last.name} failed: {reason} (full log: {folder / 'run.log'})", file=sys.stderr)
        return STAGE_FAILED
    return 0


def _output(option: str | None, pipeline: str) -> Path:
    if option is None:
        return Path("runs") / pipeline
    output = parse_path_or_uri(option)
    if not isinstance(output, Path):
        raise UserError(
            f"the output {option} is a URI: choose a local folder; to publish models to a URI, set publish_uri"
        )
    return output


@compaware.command("validate", help="check a configuration without running it")
@pipeline_arguments
def _validate(pipeline: str, overrides: tuple[str, ...], config: Path | None) -> None:
    validation.load_arguments(catalog.spec(pipeline), config, overrides)
    print("the configuration is valid")


cluster.add_commands(compaware)


@compaware.command("list", help="list the pipelines, or a pipeline's parameters")
@click.argument("pipeline", required=False)
def _list(pipeline: str | None) -> None:
    if not pipeline:
        for name in catalog.names():
            print(f"{name}: {catalog.summary(name)}")
        return
    spec = catalog.spec(pipeline)
    form = Form.of(spec)
    for parameter in catalog.parameters(spec).values():
        if parameter.name not in form.models:
            print(_described(parameter.name, parameter.default, parameter.description))
            continue
        model = form.models[parameter.name]
        for key in option_names(model):
            field = model.model_fields[key]
            default = field.get_default(call_default_factory=True)
            print(_described(f"{parameter.name}.{key}", default, field.description or ""))


def _described(name: str, default: Any, description: str) -> str:
    return f"{name}{'' if default is None else f' [{default}]'}: {description}"


_check = click.option("--check", is_flag=True, help="write nothing; fail if a file is out of date")


@compaware.command("compile", help="write the components' interfaces, and compile the pipelines to YAML")
@_check
@image_options
@site_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="folder for the files PIPELINE.yaml (default: the pipelines' folders)",
)
def _compile(
    check: bool, output: Path | None, site: Path | None, images: dict[str, str] | None, pull_secrets: tuple[str, ...]
) -> int:
    if site and not output:
        raise click.UsageError("--site needs --output: the pipelines' own folders hold files without a site's settings")
    settings = read_site(site) if site else SiteSettings()
    from compaware.pipelines.client.generated import write_all
    from compaware.pipelines.client.interfaces import interface_files

    code = write_all(interface_files(), check, "compaware compile")
    # Imports the interfaces, which are fresh now.
    from compaware.pipelines.client.specs import compiled_specs

    return code or write_all(compiled_specs(output, settings, images, pull_secrets), check, "compaware compile")


@compaware.command("docs", help="write the READMEs of components and pipelines")
@_check
def _document(check: bool) -> int:
    from compaware.pipelines.client.docs import readmes
    from compaware.pipelines.client.generated import write_all

    return write_all(readmes(), check, "compaware docs")


if __name__ == "__main__":
    main()
