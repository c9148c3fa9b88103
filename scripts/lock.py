"""Write constraints.txt: one version of every package that an installation may bring.

    make lock

For each system and Python in turn, the newest pip says what it would install. The pins found so
far bind its next answer, so one version serves every machine; where none does, pip says which, and
constraints.txt stays as it was. It takes about ten minutes. Nothing is installed.

A wheel that exists is not one that was tested. Not covered: Windows, Intel Macs, musl,
free-threaded Pythons, and packages that only other builds of torch ask for (TORCH_INDEX).
"""

import json
import re
import subprocess
import tempfile
import tomllib
import venv
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Raised by hand: a new torch computes a little differently, and results/ was measured with this.
HELD = {"torch": "2.13.0"}
# Published as source only. Built here once: of another machine's packages pip reads only wheels.
SDISTS = ["antlr4-python3-runtime==4.9.3"]
# What pip adds by itself to the environment in which such a source is built.
BUILD = ["setuptools", "wheel"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]  # the oldest first: it has the fewest versions to offer
GLIBC = [f"manylinux_2_{minor}" for minor in range(28, 16, -1)] + ["manylinux2014"]
SYSTEMS = [
    ("Linux", "x86_64", [f"{tag}_x86_64" for tag in GLIBC]),
    ("Linux", "aarch64", [f"{tag}_aarch64" for tag in GLIBC]),
    ("Darwin", "arm64", ["macosx_14_0_arm64"]),
]
# pip finds wheels for another machine, but judges by its own which requirements apply there
# ("; sys_platform == 'linux'"). This is pip told where it is.
PIP_ELSEWHERE = """
import json, sys
from pip._vendor.packaging import markers
there = {**markers.default_environment(), **json.loads(sys.argv.pop(1))}
markers.default_environment = there.copy
from pip._internal.cli.main import main
sys.exit(main())
"""
# fast-deps reads the metadata out of a wheel without fetching it: CUDA's hold gigabytes.
DRY_RUN = "install --dry-run --ignore-installed --only-binary=:all: --use-feature=fast-deps -qq"
HEADER = """\
# One version of every package for Python 3.11 to 3.14 on Linux (x86-64, arm64) and macOS (arm64).
# Made by `make lock` (scripts/lock.py), which says how.
"""


def main() -> None:
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*toml["build-system"]["requires"], *BUILD, *toml["project"]["dependencies"]]
    wanted += chain.from_iterable(toml["project"]["optional-dependencies"].values())
    pins = dict(HELD)
    with tempfile.TemporaryDirectory() as temp:
        venv.create(temp, with_pip=True, upgrade_deps=True)
        python, known, report = f"{temp}/bin/python", Path(temp, "known"), Path(temp, "report")
        build = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", temp]
        subprocess.run([*build, *SDISTS], check=True)
        for (system, machine, tags), version in ((s, v) for s in SYSTEMS for v in PYTHONS):
            print(f"Python {version} on {system} {machine}", flush=True)
            place = {"platform_system": system, "sys_platform": system.lower()}
            place |= {"platform_machine": machine, "python_version": version}
            place |= {"python_full_version": f"{version}.0"}
            known.write_text("".join(f"{name}=={pin}\n" for name, pin in pins.items()))
            command = [python, "-c", PIP_ELSEWHERE, json.dumps(place), *DRY_RUN.split()]
            command += ["--target", temp, "--find-links", temp, "--constraint", str(known)]
            command += ["--python-version", version, *(f"--platform={tag}" for tag in tags)]
            subprocess.run([*command, "--report", str(report), *wanted], check=True)
            for package in json.loads(report.read_text())["install"]:
                name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
                pins[name] = package["metadata"]["version"].split("+")[0]  # 2.13.0+cpu is 2.13.0
    lines = [f"{name}=={pin}\n" for name, pin in sorted(pins.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
