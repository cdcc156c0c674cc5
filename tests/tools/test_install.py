"""Which torch `tools/install.py` takes, with a real pip and indexes of small wheels on this machine."""

import base64
import hashlib
import os
import socket
import subprocess
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
CUDA = ("triton==3.7.1", "nvidia-cudnn-cu13==9.20")


class Index:
    """A package index: a folder of wheels and the pages that list them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""

    def add(self, name: str, version: str, needs: tuple[str, ...] = (), hash_in_page: bool = True) -> str:
        """Adds an empty package and returns its hash."""
        stem = f"{name.replace('-', '_')}-{version}"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        files = {
            f"{stem}.dist-info/METADATA": "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]),
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        digests = {file: hashlib.sha256(text.encode()).digest() for file, text in files.items()}
        record = [
            f"{file},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{len(files[file])}"
            for file, digest in digests.items()
        ]
        page = self.folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        wheel = page.parent / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file, text in {**files, f"{stem}.dist-info/RECORD": "\n".join([*record, ""])}.items():
                archive.writestr(file, text)
        value = hashlib.sha256(wheel.read_bytes()).hexdigest()
        address = wheel.name.replace("+", "%2B") + (f"#sha256={value}" if hash_in_page else "")
        with page.open("a", encoding="utf-8") as stream:
            stream.write(f'<a href="{address}">{wheel.name}</a>\n')
        return value


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _served(folder: Path) -> Iterator[Index]:
    index = Index(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    yield index
    server.shutdown()
    server.server_close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Index]:
    """The index that pip is configured with."""
    (tmp_path / "own").mkdir()
    yield from _served(tmp_path / "own")


@pytest.fixture
def pytorch(tmp_path: Path) -> Iterator[Index]:
    """Stands for PyTorch's CPU index."""
    (tmp_path / "pytorch").mkdir()
    yield from _served(tmp_path / "pytorch")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with pip and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.fixture
def install(python: Path, own: Index, pytorch: Index, tmp_path: Path) -> Iterator[object]:
    """Runs tools/install.py for a lock of torch with these hashes; removes what it installed afterwards."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "TORCH_"))}
    environment = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "NO_PROXY": "127.0.0.1"}

    def run(
        *hashes: str, options: tuple[str, ...] = (), pytorch_url: str = "", seconds: int = 30, **more: str
    ) -> subprocess.CompletedProcess:
        lock = tmp_path / "some.lock"
        lock.write_text(" \\\n".join(["torch==2.13.0", *(f"    --hash=sha256:{value}" for value in hashes)]) + "\n")
        index = pytorch_url or pytorch.url
        code = f"import install as i; i.CPU_INDEX = {index!r}; i.SECONDS_TO_ANSWER = {seconds}; i.main()"
        return subprocess.run(
            [python, "-c", code, str(lock), *options],
            env={**environment, "PYTHONPATH": str(TOOLS), "PIP_INDEX_URL": own.url, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    remove = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "torch", "triton", "nvidia-cudnn-cu13"]
    subprocess.run(remove, env=environment, check=True, capture_output=True)


@pytest.fixture
def cuda(own: Index) -> str:
    """pip's own index offers what PyPI does: a torch that asks for CUDA packages. Returns its hash."""
    own.add("triton", "3.7.1")
    own.add("nvidia-cudnn-cu13", "9.20")
    return own.add("torch", "2.13.0", needs=CUDA)


def _installed(python: Path) -> dict[str, str]:
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    return dict(line.split("==") for line in listed.splitlines() if line.startswith(("torch", "triton", "nvidia")))


def test_a_cpu_build_of_pips_index_is_installed(install, own: Index, pytorch: Index, python: Path):
    value = own.add("torch", "2.13.0")
    pytorch.add("torch", "2.13.0+cpu")
    result = install(value, "0" * 64)
    assert result.stdout == "torch 2.13.0: the CPU build of pip's configured index\n", result.stderr
    assert _installed(python) == {"torch": "2.13.0"}


def test_a_cpu_build_is_preferred_to_a_cuda_build_even_if_the_index_gives_no_hash_for_it(
    install, cuda: str, own: Index, python: Path
):
    value = own.add("torch", "2.13.0+cpu", hash_in_page=False)
    result = install(cuda, value)
    assert result.stdout == "torch 2.13.0+cpu: the CPU build of pip's configured index\n", result.stderr
    assert _installed(python) == {"torch": "2.13.0+cpu"}


def test_an_installed_torch_is_kept(install, own: Index):
    value = own.add("torch", "2.13.0+cpu")
    assert install(value).returncode == 0
    assert install(value).stdout == "torch 2.13.0+cpu: already installed\n"


def test_a_build_of_pips_index_with_an_unknown_hash_is_installed_with_a_warning(install, own: Index):
    own.add("torch", "2.13.0")
    assert install("0" * 64).stdout.endswith(", whose hash is not in the lock file\n")


def test_pytorchs_cpu_build_is_preferred_to_a_cuda_build_of_pips_index(
    install, cuda: str, pytorch: Index, python: Path
):
    value = pytorch.add("torch", "2.13.0+cpu")
    result = install(cuda, value)
    assert result.stdout == f"torch 2.13.0+cpu: the CPU build of {pytorch.url}\n", result.stderr
    assert _installed(python) == {"torch": "2.13.0+cpu"}


def test_a_file_of_pytorchs_index_with_another_hash_is_refused(install, cuda: str, pytorch: Index, python: Path):
    pytorch.add("torch", "2.13.0+cpu")
    result = install(cuda, "0" * 64)
    assert result.returncode and "hash" in result.stderr.lower() and _installed(python) == {}


def test_a_pytorch_index_that_does_not_respond_is_skipped_soon(install, cuda: str, python: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = install(cuda, pytorch_url=f"http://127.0.0.1:{silent.getsockname()[1]}/simple", seconds=1)
    assert "torch 2.13.0: a CUDA build" in result.stdout and "does not answer" in result.stdout, result.stderr
    assert _installed(python).keys() == {"torch", "triton", "nvidia-cudnn-cu13"}


def test_cpu_only_refuses_a_cuda_build(install, cuda: str, python: Path):
    result = install(cuda, options=("--cpu-only",))
    assert result.returncode == 1 and result.stderr.startswith("error: pip's index has no CPU build of torch==2.13.0")
    assert _installed(python) == {}


def test_the_index_of_torch_index_url_comes_first(install, own: Index, cuda: str, pytorch: Index, python: Path):
    secret = own.url.replace("//", "//somebody:secret@")
    result = install("0" * 64, TORCH_INDEX_URL=secret)
    assert result.stdout == "torch 2.13.0: from TORCH_INDEX_URL, not checked against a hash\n", result.stderr
    assert "secret" not in result.stdout + result.stderr
    assert "triton" in _installed(python)
