"""What importing the package of points may cost."""

import subprocess
import sys

CODE = """
import sys
import vecspeak.points
print([name for name in ("torch", "sklearn", "sentence_transformers") if name in sys.modules])
"""


def test_importing_points_loads_neither_torch_nor_sklearn():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
