"""The device a run trains on, and torch's settings for it."""

from __future__ import annotations

import ctypes
import re
import sys

import torch

from rnnscope.check import check_gpu_memory
from rnnscope.config import Config, RunConfig
from rnnscope.errors import UserError, one_line

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names of glibc's <malloc.h>


def resolve_device(name: str) -> torch.device:
    """Return the device that `name` (auto, cpu, cuda, cuda:N, mps) means here.

    auto is CUDA where there is a GPU, else the CPU. MPS only when asked for.

    Raises:
        UserError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(match[1] or 0)
        if index >= count:
            raise UserError(f"--device {name}: this machine has {count} CUDA devices; use --device auto or cpu")
        return torch.device("cuda", index)
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("--device mps: this machine has no Apple GPU that torch can use; use --device auto or cpu")
        return torch.device("mps")
    if name == "cpu":
        return torch.device("cpu")
    raise UserError(f"--device {name}: unknown device; use auto, cpu, cuda, cuda:N or mps")


def check_device(config: Config, vocabulary_size: int) -> None:
    """Look whether the run's device is there and has room for it.

    Raises:
        UserError: it has not; the message says what to lower.
    """
    check_room(config, vocabulary_size, resolve_device(config.run.device))


def check_room(config: Config, vocabulary_size: int, device: torch.device) -> None:
    """Compare what a training step needs with what a GPU has free; main memory is looked at before torch is there.

    Raises:
        UserError: too little is free, or CUDA does not start.
    """
    if device.type != "cuda":
        return
    try:
        free, _ = torch.cuda.mem_get_info(device)
    except RuntimeError as error:  # others hold all of it, or driver and torch do not fit together
        reason = one_line(str(error).partition("\n")[0])
        raise UserError(f"--device {device} does not start ({reason}); use --device cpu, or try again later") from error
    check_gpu_memory(config, vocabulary_size, free, str(device))


def device_name(device: torch.device) -> str:
    """Return the device in words, with the GPU's model."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return str(device)


def prepare(run: RunConfig, device: torch.device) -> None:
    """Set torch's process-wide switches for a run: threads, subnormal numbers, TF32 off.

    Vanishing gradients live among float32's subnormal numbers, where a product can be 90 times slower on a
    CPU, so those are flushed to zero; screens draw such a zero as underflow.
    """
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def _keep_freed_memory() -> None:
    """Have glibc keep what tensors give back, for the next training step to take.

    By its own rule it returns tens of megabytes to the system after every step, and each page of the next step is
    faulted in again: a quarter of the time of the default run (LSTM 2x128: 14 of 70 processor seconds in the kernel,
    with this 1.3). Blocks over 256 MB still go back at once. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 256 << 20)
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


def resolve_precision(name: str) -> str:
    """Return float32 or bf16. auto is float32: the numbers a student checks by hand."""
    return "float32" if name == "auto" else name
