"""IPEX where it cannot run: one line says what is missing. tests/ipex covers IPEX where it can run."""

import subprocess
import sys
from pathlib import Path

import pytest

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes import ipex
from compaware.components.core.runtimes.predictors import open_runtime
from compaware.components.core.training.ipex import choose_backend

BOTH = {"intel-extension-for-pytorch": "2.8.0", "torch": "2.8.0+cpu"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A CPU with AVX2 alone, and IPEX with its torch; a test takes away from it."""
    monkeypatch.setattr(cpu, "flags", lambda: ("avx2", "fma"))
    monkeypatch.setattr(ipex, "version", BOTH.__getitem__)
    return monkeypatch


def test_a_component_with_backend_ipex_ends_with_one_line_and_code_2(tmp_path: Path) -> None:
    words = [f"{name}={tmp_path / name}" for name in ("output", "dataset", "teacher", "soft_labels")]
    command = [sys.executable, "-m", "compaware.components.distillation", *words, "student_layers=[0]", "backend=ipex"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 2
    assert found.stderr == (
        "error: ipex cannot run here: intel-extension-for-pytorch is not installed: use the image "
        "compaware/trainer-ipex, or the extra `ipex`\n"
    )


def test_ipex_is_not_among_the_available_runtimes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^ipex cannot run here: .* is not installed"):
        open_runtime(tmp_path, "ipex", "fp32")


def test_another_torch_is_named_before_the_import_that_would_end_the_process(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(ipex, "version", {**BOTH, "torch": "2.13.0"}.__getitem__)
    with pytest.raises(UserError, match=r"2\.8\.0 does not run with torch 2\.13\.0"):
        choose_backend("ipex", "fp32")


def test_a_cpu_without_avx2_is_named_before_the_import_that_would_end_the_process(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(cpu, "flags", lambda: ())
    with pytest.raises(UserError, match="has no AVX2"):
        choose_backend("ipex", "fp32")


def test_bf16_needs_avx512(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UserError, match=r"^ipex computes BF16 with AVX-512 or AMX, .* has avx2, fma: use precision=fp32$"
    ):
        choose_backend("ipex", "bf16")
    assert choose_backend("ipex", "auto") == "ipex"


def test_auto_chooses_ipex_if_the_hardware_trains_in_bf16(machine: pytest.MonkeyPatch) -> None:
    assert choose_backend("auto", "auto") == "torch"
    machine.setattr(cpu, "flags", lambda: ("avx2", "avx512f", "avx512_bf16"))
    assert [choose_backend("auto", precision) for precision in ("auto", "bf16", "fp32")] == [
        "ipex",
        "ipex",
        "torch",
    ]
    machine.setattr(ipex, "version", {**BOTH, "torch": "2.13.0"}.__getitem__)
    assert choose_backend("auto", "bf16") == "torch"
