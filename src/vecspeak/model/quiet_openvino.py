"""OpenVINO, imported so that it sends no usage statistics: every module imports it from here."""

import sys
from typing import Any

_STATISTICS = "openvino_telemetry"
_modules: dict[str, Any] = sys.modules
_before = _modules.get(_STATISTICS)

# Importing OpenVINO reports the import to its maker over the network, and takes three times as long. Where the package
# that reports cannot be imported, OpenVINO takes a stand-in of its own that does nothing.
_modules[_STATISTICS] = None
try:
    import openvino as ov
    from openvino import opset6, opset15
finally:
    del _modules[_STATISTICS]
    if _before is not None:
        _modules[_STATISTICS] = _before

__all__ = ["opset15", "opset6", "ov"]
