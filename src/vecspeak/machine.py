"""Machine: what this computer can run, told without loading what would run it."""

from importlib.util import find_spec
from pathlib import Path


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU and its driver: torch is the faster way there."""
    return Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia/version").exists()


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None
