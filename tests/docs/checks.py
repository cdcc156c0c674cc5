"""Checks the commands of each program: runs them if that is quick, else parses them with the program's own parser."""

import argparse
import contextlib
import importlib
import io
import itertools
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from compaware.components import images
from compaware.pipelines.client import local
from compaware.pipelines.client.catalog import config_class
from compaware.pipelines.client.main import main
from tests.docs.reading import ROOT, Block, Command, commands

COMPONENT = re.compile(r"compaware\.components\.(\w+)")
KUBECTL = {"apply", "auth can-i", "create configmap", "create secret", "port-forward", "set env"}
KUBECTL |= {"label namespace", "patch deployment"}
IMAGES = {images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER}
NO_SERVER = "no Kubeflow Pipelines server answers"


class ReadError(BaseException):
    """Ends a program after it has parsed its arguments; not an error."""


class Checks:
    """Checks commands in the order in which they are typed in a folder.

    Attributes:
        monkeypatch: Fixture of the test.
        folder: The folder.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path):
        self.monkeypatch = monkeypatch
        self.folder = folder
        self._programs: dict[str, Callable[[Command], None]] = {
            "argo": self._argo,
            "aws": self._aws,
            "compaware": self._compaware,
            "docker": self._docker,
            "export": self._export,
            "helm": self._helm,
            "ip": lambda _: None,
            "kfp": self._kfp,
            "kubectl": self._kubectl,
            "make": self._make,
            "python": self._python,
            "sudo": self._sudo,
            "torchrun": self._torchrun,
        }

    def check(self, command: Command) -> None:
        """Fails if the command does not work or its program is not known here."""
        program = re.sub(r"^\.venv[\w-]*/bin/", "", command.words[0])
        assert program in self._programs, f"tests/docs does not know how to check {command.words}"
        self._programs[program](Command(command.variables, command.words[1:]))

    def _aws(self, command: Command) -> None:
        assert command.words[:2] == ["s3api", "put-bucket-lifecycle-configuration"]
        rules = json.loads(command.words[-1])["Rules"]
        assert all(rule["Status"] == "Enabled" and rule.keys() >= {"ID", "Filter"} for rule in rules)

    def _export(self, command: Command) -> None:
        for name, _, value in (word.partition("=") for word in command.words):
            if name == images.VARIABLE and "…" not in value:
                images.read_setting(value)
                self.monkeypatch.setenv(name, value)

    def _make(self, command: Command) -> None:
        words = [word for word in command.words if not word.endswith("=…")]
        done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _compaware(self, command: Command) -> None:
        """Runs the real command up to the start of the pipeline or the first request to a server."""
        words = list(command.words)
        if "--host" in words:
            del words[words.index("--host") : words.index("--host") + 2]
        self.monkeypatch.setattr(local, "run", _begin)
        stderr = io.StringIO()
        with pytest.raises((SystemExit, ReadError)) as ended, contextlib.redirect_stderr(stderr):
            main(words)
        if isinstance(ended.value, SystemExit) and ended.value.code != 0:
            assert NO_SERVER in stderr.getvalue(), f"{words}: {stderr.getvalue()}"

    def _python(self, command: Command) -> None:
        first, *words = command.words
        if first == "-m":
            match = COMPONENT.fullmatch(words[0])
            assert match, f"tests/docs does not know {words[0]}"
            self._component(match[1], words[1:], is_run="--config" not in words)
            return
        if first.endswith("/VERSION/load.py"):
            # This file is written when a model is published; the tests of publish run it.
            assert (ROOT / "components/publish/templates/load.py.j2").is_file()
            return
        file = self.folder / first
        assert file.is_file(), f"there is no {first}"
        if file.resolve().is_relative_to(ROOT):
            self._parse_only(lambda: runpy.run_path(str(file), run_name="__main__"), [first, *words])
        else:
            runpy.run_path(str(file), run_name="__main__")

    def _component(self, name: str, words: list[str], is_run: bool) -> None:
        def start() -> None:
            runpy.run_module(f"compaware.components.{name}", run_name="__main__", alter_sys=True)

        if is_run:
            with self.monkeypatch.context() as patch:
                patch.setattr(sys, "argv", [name, *words])
                # A component ends its process at once, which must not end the tests.
                patch.setattr(os, "_exit", sys.exit)
                with pytest.raises(SystemExit) as ended:
                    start()
            assert ended.value.code == 0
            return
        read = self._parse_only(start, [name, *words])
        config = config_class(name)
        assert config is not None and read.config.is_file()
        assert {word.partition("=")[0] for word in read.overrides} <= config.model_fields.keys()

    def _parse_only(self, start: Callable[[], Any], words: list[str]) -> argparse.Namespace:
        """Returns the arguments that argparse parses; the program ends there."""
        read = []
        parse = argparse.ArgumentParser.parse_args

        def parse_and_end(parser: argparse.ArgumentParser, *given: Any) -> None:
            read.append(parse(parser, *given))
            raise ReadError

        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
            with pytest.raises(ReadError):
                start()
        return read[0]

    def _torchrun(self, command: Command) -> None:
        parser = importlib.import_module("torch.distributed.run").get_args_parser()
        read = parser.parse_args(command.words)
        words = [read.training_script, *read.training_script_args]
        self._python(Command({}, ["-m", *words] if read.module else words))

    def _kfp(self, command: Command) -> None:
        program: Any = importlib.import_module("kfp.cli.cli").cli
        words, context = command.words, None
        while isinstance(program, click.Group):
            context = click.Context(program, parent=context)
            _, program, words = program.resolve_command(context, words)
        context = program.make_context(program.name, words, parent=context)
        packages = [value for key, value in context.params.items() if "package" in key and value]
        assert packages and all((self.folder / file).is_file() for file in packages), packages

    def _docker(self, command: Command) -> None:
        if command.words[0] == "compose":
            self._compose(command)
            return
        words = command.words
        at = next(index for index, word in enumerate(words) if word.startswith("localhost/compaware/"))
        assert words[at] in IMAGES
        name = COMPONENT.fullmatch(words[at + 3])
        assert words[at + 1 : at + 3] == ["python", "-m"] and name
        config = config_class(name[1])
        assert config is not None
        assert {word.partition("=")[0] for word in words[at + 4 :]} <= config.model_fields.keys()

    def _compose(self, command: Command) -> None:
        file = ROOT / command.words[command.words.index("-f") + 1]
        text = file.read_text(encoding="utf-8")
        assert "run" in yaml.safe_load(text)["services"]
        assert all(f"${{{name}" in text for name in command.variables), f"{file} does not read {command.variables}"
        assert (ROOT / command.variables.get("CONFIG", "README.md")).is_file()

    def _kubectl(self, command: Command) -> None:
        words = [word for word in command.words if not word.startswith("-")]
        words = words[1:] if command.words[0] == "-n" else words
        assert words[0] in KUBECTL or " ".join(words[:2]) in KUBECTL, f"tests/docs does not know kubectl {words}"
        if "-k" in command.words:
            folder = command.words[command.words.index("-k") + 1]
            assert (ROOT / folder / "kustomization.yaml").is_file()

    def _helm(self, command: Command) -> None:
        verb, _, chart, *options = command.words
        assert verb in ("install", "template") and (ROOT / chart / "Chart.yaml").is_file()
        values = yaml.safe_load((ROOT / chart / "values.yaml").read_text(encoding="utf-8"))
        for before, word in itertools.pairwise(options):
            if before in ("--set", "--set-literal", "--set-file"):
                part = values
                for key in word.partition("=")[0].split("."):
                    part = part[key]

    def _argo(self, command: Command) -> None:
        workflow = yaml.safe_load(
            (ROOT / "manifests/argo/compaware.yaml").read_text(encoding="utf-8").split("---\n")[-1]
        )
        known = {entry["name"] for entry in workflow["spec"]["arguments"]["parameters"]}
        assert f"{workflow['kind'].lower()}/{workflow['metadata']['name']}" in command.words
        given = [word for before, word in itertools.pairwise(command.words) if before == "-p"]
        assert {word.partition("=")[0] for word in given} <= known

    def _sudo(self, command: Command) -> None:
        for line in command.words[command.words.index("-c") + 1].split(";"):
            for inner in commands(Block("", line)):
                self.check(inner)


def _begin(*_: Any, **__: Any) -> None:
    raise ReadError
