"""`python -m vecspeak`, where the command itself is not on the path."""

import subprocess
import sys


def test_the_module_is_the_command():
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "vecspeak", *arguments], capture_output=True, text=True, check=False
        )

    assert run("--version").stdout.startswith("vecspeak, version ")
    wrong = run("aks")
    assert (wrong.returncode, wrong.stderr) == (2, "vecspeak: No such command 'aks'; see vecspeak --help\n")
