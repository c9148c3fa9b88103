"""Write constraints.txt: one version of every package that an installation may need.

    make lock                                  # the newest versions of all packages
    python -m scripts.maintenance.lock --keep  # keep the pins that are needed, and add missing ones

For each system and Python in turn, the newest pip resolves all requirements. The versions chosen so
far constrain the next resolution, so that one version serves every machine. If there is no such
version, pip names the package, and constraints.txt stays unchanged. Pins that no system needs are
removed. This takes about ten minutes and installs nothing.

A wheel that exists has not necessarily been tested. Not covered: Windows, Intel Macs, musl,
free-threaded Pythons, and packages that only other builds of torch need (TORCH_INDEX).
"""

import argparse
import json
import re
import subprocess
import tempfile
import tomllib
import venv
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Raised by hand: a new torch gives slightly other numbers, and results/ was measured with this one.
HELD = {"torch": "2.13.0"}
# Published as source only. Built here once: for other machines pip accepts only wheels.
SDISTS = ["antlr4-python3-runtime==4.9.3"]
# Packages that pip adds to the environment in which it builds such a source.
BUILD = ["setuptools", "wheel"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]  # the oldest first: it allows the fewest versions
GLIBC = [f"manylinux_2_{minor}" for minor in range(28, 16, -1)] + ["manylinux2014"]
SYSTEMS = [
    ("Linux", "x86_64", [f"{tag}_x86_64" for tag in GLIBC]),
    ("Linux", "aarch64", [f"{tag}_aarch64" for tag in GLIBC]),
    ("Darwin", "arm64", ["macosx_14_0_arm64"]),
]
# pip finds wheels for another machine, but evaluates markers ("; sys_platform == 'linux'") for its
# own. This program runs pip with the markers of the other machine.
PIP_ELSEWHERE = """
import json, sys
from pip._vendor.packaging import markers
there = {**markers.default_environment(), **json.loads(sys.argv.pop(1))}
markers.default_environment = there.copy
from pip._internal.cli.main import main
sys.exit(main())
"""
# fast-deps reads the metadata of a wheel without downloading it: those of CUDA have gigabytes.
DRY_RUN = "install --dry-run --ignore-installed --only-binary=:all: --use-feature=fast-deps -qq"
HEADER = """\
# One version of every package for Python 3.11 to 3.14 on Linux (x86-64, arm64) and macOS (arm64).
# Made by `make lock` (scripts/maintenance/lock.py).
"""


def present() -> dict[str, str]:
    """Return the pins in constraints.txt, by package."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return dict(pairs)


def main() -> None:
    """Ask pip for every system and Python, and write constraints.txt."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="keep the pins in constraints.txt")
    keep = parser.parse_args().keep
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*toml["build-system"]["requires"], *BUILD, *toml["project"]["dependencies"]]
    extras = chain.from_iterable(toml["project"]["optional-dependencies"].values())
    # An extra of the project itself is not a package: its parts are in the list already.
    wanted += [extra for extra in extras if not extra.startswith(toml["project"]["name"])]
    pins = {**HELD, **(present() if keep else {})}
    needed: dict[str, str] = {}  # by any system and Python
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
                needed[name] = package["metadata"]["version"].split("+")[0]  # 2.13.0+cpu is 2.13.0
            pins |= needed
    lines = [f"{name}=={pin}\n" for name, pin in sorted(needed.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
