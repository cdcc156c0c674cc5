"""Reads the fenced blocks of the documentation and the commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Guides, in order; later ones build on earlier ones.
GUIDES = [ROOT / "docs" / name for name in ("tour.md", "adding-a-task.md", "adding-a-component.md")]
OTHERS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(file for file in (ROOT / "docs").glob("*.md") if file not in GUIDES),
    *sorted(file for room in ("components", "pipelines") for file in (ROOT / room).rglob("README.md")),
    *(ROOT / room / "README.md" for room in ("benchmarks", "images", "manifests")),
    ROOT / "benchmarks" / "RESULTS.md",
]
KINDS = {"", "python", "yaml", "text", "mermaid"}
# Placeholders for further words.
PLACEHOLDERS = {"…", "key=value"}
_BLOCK = re.compile(r"^ *```(?P<kind>\S*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MAKE = re.compile(r"`(make [a-z][^`]*)`")
_VARIABLE = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (none for commands) and its text."""

    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """Name of the file to save the block as, if its first line gives one."""
        match = re.match(r"# (\S+\.py)\n", self.text)
        return match[1] if self.kind == "python" and match else None

    @property
    def uses_a_run(self) -> bool:
        """Whether the block is Python that reads the output of a run."""
        return self.kind == "python" and "runs/" in self.text


@dataclass(frozen=True)
class Command:
    """A command: its environment variables and its words."""

    variables: dict[str, str]
    words: list[str]


def blocks(file: Path) -> list[Block]:
    """Returns the blocks of a Markdown file, in order."""
    result = [Block(match["kind"], match["text"]) for match in _BLOCK.finditer(file.read_text(encoding="utf-8"))]
    unknown = {block.kind for block in result} - KINDS
    assert not unknown, f"{file}: the tests do not know what to do with blocks of {unknown}"
    return result


def commands(block: Block) -> list[Command]:
    """Returns the commands of a block, one per line; quotes and backslashes continue lines, as in a shell."""
    result, line = [], ""
    for part in block.text.replace("\\\n", " ").splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        line = ""
        if words:
            result.append(_command(words))
    assert not line, f"a quote is not closed: {line}"
    return result


def commands_in_sentences(file: Path) -> list[Command]:
    """Returns the make commands between backticks in running text."""
    text = _BLOCK.sub("", file.read_text(encoding="utf-8"))
    return [_command(shlex.split(command)) for command in _MAKE.findall(text)]


def example_folder(folder: Path) -> Path:
    """Fills a folder with the files that the documentation assumes: the repository and a user's files.

    Components are linked one by one, so that the folder can have another component.
    """
    for room in ("pipelines", "benchmarks", "images", "manifests"):
        (folder / room).symlink_to(ROOT / room)
    (folder / "components").mkdir()
    for entry in (ROOT / "components").iterdir():
        (folder / "components" / entry.name).symlink_to(entry)
    for name in ("my-data", "my-teacher", "data/sst2", "models/sst2-teacher"):
        (folder / name).mkdir(parents=True)
    (folder / "my.yaml").write_text("{teacher: owner/my-teacher, student_layers: [0]}\n", encoding="utf-8")
    for name in ("student.yaml", "site.yaml", "FILE"):
        (folder / name).write_text("{}\n", encoding="utf-8")
    return folder


def _command(words: list[str]) -> Command:
    words = words[: words.index(">")] if ">" in words else words
    variables = {}
    while match := _VARIABLE.fullmatch(words[0]):
        variables[match[1]] = match[2]
        words = words[1:]
    return Command(variables, [word for word in words if word not in PLACEHOLDERS])
