"""The packages that an installation needs, from pyproject.toml and what is installed."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]


def requirements(*extras: str) -> list[Requirement]:
    """Return the requirements of the project and of these extras."""
    lines = PROJECT["project"]["dependencies"] + [r for extra in extras for r in EXTRAS[extra]]
    return [Requirement(line) for line in lines]


def installed(needed: Iterable[Requirement]) -> dict[str, str]:
    """Return the versions of the installed packages among these and all that they require."""
    versions: dict[str, str] = {}
    pending = [*needed]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        requirement = pending.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or name == "lstm-sentiment":
            continue
        seen.add((name, extras))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        versions[name] = package.version.partition("+")[0]  # 2.13.0+cpu is 2.13.0
        pending += _applicable(package, extras)
    return versions


def _applicable(package: metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in package.requires or []:
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement
