"""The `compaware` command: runs, submits, follows, schedules, validates, lists, compiles and documents the pipelines.

Exit codes: 0 done, 1 a stage failed, 2 the user can mend it, 70 a fault of the program, 75 something does not answer;
the last line on standard error says why.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compaware.components.core.base.closed_pipes import SIGPIPE_EXIT_CODE, ignore_closed_pipes
from compaware.components.core.base.errors import UNAVAILABLE_EXIT_CODE, UnavailableError, UserError
from compaware.components.core.base.faults import report
from compaware.components.storage.places import read_place
from compaware.pipelines.client import catalog, cluster, validation

STAGE_FAILED = 1
USER_ERROR = 2
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line and exits.

    Args:
        words: The arguments; those of this process when not given.
    """
    with ignore_closed_pipes(SIGPIPE_EXIT_CODE):
        arguments = _arguments(words)
    # A run goes on, since its work is done for the files that it leaves.
    with ignore_closed_pipes(None if arguments.command is _run else SIGPIPE_EXIT_CODE):
        sys.exit(_exit_code(arguments))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    # argparse takes no positional words after options of a subcommand; those are left over here.
    arguments, rest = parser.parse_known_args(words)
    if rest and (not hasattr(arguments, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


def _exit_code(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.command(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except UnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNAVAILABLE_EXIT_CODE
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return report(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compaware", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a pipeline on this machine")
    _add_pipeline(run)
    run.add_argument("--output", help="folder for report, models and state; runs/PIPELINE when not given")
    run.add_argument(
        "--runner",
        choices=["process", "docker"],
        default="process",
        help="docker: each task in a container of the images that a cluster uses",
    )
    run.set_defaults(command=_run)

    validate = commands.add_parser("validate", help="check a configuration without running it")
    _add_pipeline(validate)
    validate.set_defaults(command=_validate)

    cluster.add_commands(commands, _add_pipeline)

    listing = commands.add_parser("list", help="list the pipelines, or a pipeline's parameters")
    listing.add_argument("pipeline", nargs="?", help="a pipeline's name")
    listing.set_defaults(command=_list)

    for name, command, text in (
        ("compile", _compile, "compile the pipelines to the YAML beside them"),
        ("docs", _document, "write the READMEs of components and pipelines"),
    ):
        generator = commands.add_parser(name, help=text)
        generator.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
        generator.set_defaults(command=command)
        if name == "compile":
            generator.add_argument("--output", type=Path, help="folder to write them to, as PIPELINE.yaml")
    return parser


def _add_pipeline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", help="a pipeline's name; `compaware list` shows them")
    parser.add_argument("--config", type=Path, help="YAML or JSON file of the pipeline's parameters")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="parameters that replace the file's")


def _run(options: argparse.Namespace) -> int:
    arguments = validation.load_arguments(catalog.spec(options.pipeline), options.config, options.overrides)
    # Everything that follows needs KFP and the benchmark's result types; the checks above do not wait for them.
    from compaware.pipelines.client import local, results
    from compaware.pipelines.client.view import PUBLISH_STAGE, REPORT_STAGES

    output = _output(options)
    local.prepare_output(output, options.pipeline, arguments)
    stages = local.run(options.pipeline, arguments, output, options.runner)
    for stage in stages:
        if stage.name in REPORT_STAGES and not stage.failed:
            measured = results.collect(output, stage)
            print("", results.table(measured), "", *measured.words[:1], "", sep="\n")
            print(f"report: {output / 'report.html'}\nmodels: {output / 'models'}")
        if stage.name == PUBLISH_STAGE and not stage.failed and arguments.get(catalog.WRITTEN):
            print(f"history: {results.collect_history(output, stage)}")
    last = stages[-1]
    if last.failed:
        reason = last.reason or last.last_line or "it wrote nothing"
        print(f"error: {last.name} failed: {reason} (full log: {output / 'run.log'})", file=sys.stderr)
        return STAGE_FAILED
    return 0


def _output(options: argparse.Namespace) -> Path:
    if options.output is None:
        return Path("runs") / options.pipeline
    output = read_place(options.output)
    if not isinstance(output, Path):
        raise UserError(f"the output {options.output} is a URI: name a folder here; publish_uri is for a model's URI")
    return output


def _validate(options: argparse.Namespace) -> int:
    validation.load_arguments(catalog.spec(options.pipeline), options.config, options.overrides)
    print("the configuration is valid")
    return 0


def _list(options: argparse.Namespace) -> int:
    if not options.pipeline:
        for name in catalog.names():
            print(f"{name}: {catalog.summary(name)}")
        return 0
    for parameter in catalog.parameters(catalog.spec(options.pipeline)).values():
        default = "" if parameter.default is None else f" [{parameter.default}]"
        print(f"{parameter.name}{default}: {parameter.description}")
    return 0


def _compile(options: argparse.Namespace) -> int:
    from compaware.pipelines.client.generated import write_all
    from compaware.pipelines.client.specs import compiled_specs

    return write_all(compiled_specs(options.output), options.check, "compaware compile")


def _document(options: argparse.Namespace) -> int:
    from compaware.pipelines.client.docs import readmes
    from compaware.pipelines.client.generated import write_all

    return write_all(readmes(), options.check, "compaware docs")


if __name__ == "__main__":
    main()
