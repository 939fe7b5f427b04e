"""Whether anything reaches out to another computer that was given no address, as the system's own calls tell.

    python scripts/silent.py

Runs the commands of tests/every_command.py, which tests/cli/test_silent.py also runs, and the demo, each under strace,
and counts calls that connect or send to an internet address. Unlike the test it also sees what native libraries and
processes of their own do. Ends with status 1 where there was one. Linux alone, with strace.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRACE = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none", "-o"]


def main() -> int:
    """Print the calls; the exit status."""
    if not shutil.which("strace"):
        print("this needs strace: apt-get install strace")
        return 2
    found = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, command in (
            ("every command", [str(ROOT / "tests" / "every_command.py"), scratch, "slow"]),
            ("the demo", ["-m", "vecspeak", "demo", "--out", f"{scratch}/demo"]),
        ):
            trace = Path(scratch) / "trace"
            subprocess.run(
                [*TRACE, str(trace), sys.executable, *command], check=True, stdout=subprocess.DEVNULL
            )
            calls = [line for line in trace.read_text().splitlines() if re.search(r"AF_INET6?\b", line)]
            print(f"{name}: {len(calls)} calls to an internet address", *calls[:20], sep="\n  ")
            found += len(calls)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
