"""`python -m compaware.components.<name> --config FILE [key=value …]`: the entry point of every component.

Users, KFP tasks, torchrun and the pods of a job call it. Exit codes: 0 success, 2 an error that the user can fix, 70 a
bug, 75 a service does not answer (retry), 1 any other failure, such as too little memory (retry). The last line on
standard error gives the reason and, for an unexpected exception, the file with the traceback.
"""

import argparse
import gc
import importlib
import logging
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from compaware.components.core.base.closed_pipes import ignore_closed_pipes
from compaware.components.core.base.errors import (
    ERROR_PREFIX,
    FAULT_EXIT_CODE,
    UNAVAILABLE_EXIT_CODE,
    UNAVAILABLE_PREFIX,
    USER_ERROR_EXIT_CODE,
    UnavailableError,
    UserError,
)
from compaware.components.core.base.faults import report
from compaware.components.core.base.lifetime import end_with_command, exit_at_once
from compaware.components.core.base.logs import setup_logging
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import CONFIG_VARIABLE, read_values, validate
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.output_checks import require_separate_outputs
from compaware.components.core.stage.sample_defaults import with_sample_defaults
from compaware.components.core.stage.transfers import Transfers
from compaware.components.core.stage.workspace import run_stage, work_folder
from compaware.components.storage import show_uris

log = logging.getLogger("compaware")


def main(
    module: str, config_class: type[ComponentConfig], *, evaluates: bool = False, measures_speed: bool = False
) -> None:
    """Parses the command line, runs the component and exits.

    Args:
        module: Dotted name of the module with `run(config, workspace) -> Summary`. It is imported only after the
            configuration is validated, so that errors and `--help` appear at once.
        config_class: The component's configuration.
        evaluates: The component evaluates saved models.
        measures_speed: Keep the defaults of the OpenMP runtime.
    """
    if not measures_speed:
        # By default, waiting OpenMP threads spin for milliseconds. With other processes on the same CPUs, this made
        # training 5 to 25 times slower. Spinning for about ten microseconds covers the gaps between operators.
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    with ignore_closed_pipes():
        _main(module, config_class, evaluates)


def _main(module: str, config_class: type[ComponentConfig], evaluates: bool) -> None:
    component = module.split(".")[-2]
    arguments = _parser(component, config_class).parse_args()
    setup_logging()
    end_with_command()
    work: Path | None = None
    try:
        given = read_values(config_class, arguments.config, arguments.overrides, config_class.merged)
        transfers = Transfers.plan(config_class, with_sample_defaults(component, given))
        config = validate(config_class, transfers.values)
        require_separate_outputs(config, transfers.uris)
        work = work_folder(config)
        summary = _run(module, config, transfers, evaluates)
    except UserError as error:
        print(f"{ERROR_PREFIX}{show_uris(str(error))}", file=sys.stderr, flush=True)
        _exit_without_restart(USER_ERROR_EXIT_CODE)
    except UnavailableError as error:
        print(f"{UNAVAILABLE_PREFIX}{show_uris(str(error))}", file=sys.stderr, flush=True)
        exit_at_once(UNAVAILABLE_EXIT_CODE)
    except KeyboardInterrupt:
        print("interrupted: set existing_output=resume to continue", file=sys.stderr, flush=True)
        exit_at_once(128 + signal.SIGINT)
    except Exception as error:
        code = report(error, work)
        if code == FAULT_EXIT_CODE:
            _exit_without_restart(code)
        exit_at_once(code)
    for name, value in summary.metrics.items():
        log.info("%s = %.6g", name, value)
    log.info("%s finished: %s", component, transfers.outputs.get("output", transfers.values["output"]))
    exit_at_once(0)


def _exit_without_restart(code: int) -> NoReturn:
    """Exits, and ends torchrun if it started this process: in an elastic job it would restart the process."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        os.kill(os.getppid(), signal.SIGTERM)
    exit_at_once(code)


def _run(module: str, config: ComponentConfig, transfers: Transfers, evaluates: bool) -> Summary:
    finished = transfers.finished_summary(config := transfers.download_inputs(config))
    if finished:
        log.info("%s is already finished; nothing to do", transfers.outputs["output"])
        return finished
    summary = run_stage(config, lambda workspace: _import(module, evaluates).run(config, workspace))
    transfers.upload_outputs(config)
    return summary


def _import(module: str, evaluates: bool) -> ModuleType:
    """Imports the component's module.

    Raises:
        UserError: A library is not installed, as in the image of another component.
    """
    gc.disable()  # Collecting garbage during the import takes a tenth of its time and frees nothing.
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("compaware"):
            raise
        component = module.split(".")[-2]
        raise UserError(
            f"{component} needs {error.name}, which is not installed here: use the component's image or extra"
        ) from error
    finally:
        gc.enable()
    gc.freeze()  # Garbage collection in forked processes would copy the pages of these objects.
    if evaluates:
        from compaware.components.core.evaluation.evaluate import prepare_evaluation

        prepare_evaluation()
    return imported


def _parser(component: str, config_class: type[ComponentConfig]) -> argparse.ArgumentParser:
    lines = ["keys:"]
    for name, field in config_class.model_fields.items():
        default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)}"
        lines.append(f"  {name}: {field.description} ({default})")
    parser = argparse.ArgumentParser(
        prog=f"python -m compaware.components.{component}",
        description=(config_class.__doc__ or "").strip().splitlines()[0],
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, help=f"YAML or JSON file with the keys below; by default, {CONFIG_VARIABLE} is read"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values that replace those of the file")
    return parser
