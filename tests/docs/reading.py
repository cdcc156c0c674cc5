"""The documentation's fenced blocks, and the commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The guides stand in the order in which one builds on another.
GUIDES = [ROOT / "docs" / name for name in ("tour.md", "adding-a-task.md", "adding-a-component.md")]
OTHERS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(file for file in (ROOT / "docs").glob("*.md") if file not in GUIDES),
    *sorted(file for room in ("components", "pipelines") for file in (ROOT / room).rglob("README.md")),
    *(ROOT / room / "README.md" for room in ("benchmarks", "images", "manifests")),
    ROOT / "benchmarks" / "RESULTS.md",
]
KINDS = {"", "python", "yaml", "text", "mermaid"}
# What stands for more of the same.
AND_SO_ON = {"…", "key=value"}
_BLOCK = re.compile(r"^ *```(?P<kind>\S*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MAKE = re.compile(r"`(make [a-z][^`]*)`")
_VARIABLE = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: what its fence says it is (nothing: commands), and its text."""

    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is to be saved as, which its first line names."""
        match = re.match(r"# (\S+\.py)\n", self.text)
        return match[1] if self.kind == "python" and match else None

    @property
    def uses_a_run(self) -> bool:
        """Whether it is Python that reads what a run has left."""
        return self.kind == "python" and "runs/" in self.text


@dataclass(frozen=True)
class Command:
    """A command: the variables before it, and its words."""

    variables: dict[str, str]
    words: list[str]


def blocks(file: Path) -> list[Block]:
    """The blocks of a Markdown file in their order."""
    found = [Block(match["kind"], match["text"]) for match in _BLOCK.finditer(file.read_text(encoding="utf-8"))]
    unknown = {block.kind for block in found} - KINDS
    assert not unknown, f"{file}: the tests do not know what to do with blocks of {unknown}"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a block, one a line; quotes and backslashes go on over lines, as in a shell."""
    found, line = [], ""
    for part in block.text.replace("\\\n", " ").splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        line = ""
        if words:
            found.append(_command(words))
    assert not line, f"a quote is open: {line}"
    return found


def commands_in_sentences(file: Path) -> list[Command]:
    """The calls of make that stand between backticks in running text."""
    text = _BLOCK.sub("", file.read_text(encoding="utf-8"))
    return [_command(shlex.split(found)) for found in _MAKE.findall(text)]


def example_folder(folder: Path) -> Path:
    """Fills a folder with what the documentation takes for granted: the repository, and a user's files.

    The components are linked one by one, so that the folder can have another that is not the repository's.
    """
    for room in ("pipelines", "benchmarks", "images", "manifests"):
        (folder / room).symlink_to(ROOT / room)
    (folder / "components").mkdir()
    for entry in (ROOT / "components").iterdir():
        (folder / "components" / entry.name).symlink_to(entry)
    for name in ("my-data", "my-teacher", "data/sst2", "models/sst2-teacher"):
        (folder / name).mkdir(parents=True)
    (folder / "my.yaml").write_text("{teacher: owner/my-teacher, student_layers: [0]}\n", encoding="utf-8")
    for name in ("student.yaml", "FILE"):
        (folder / name).write_text("{}\n", encoding="utf-8")
    return folder


def _command(words: list[str]) -> Command:
    words = words[: words.index(">")] if ">" in words else words
    variables = {}
    while match := _VARIABLE.fullmatch(words[0]):
        variables[match[1]] = match[2]
        words = words[1:]
    return Command(variables, [word for word in words if word not in AND_SO_ON])
