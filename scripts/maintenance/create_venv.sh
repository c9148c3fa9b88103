#!/bin/sh
# Make .venv, and install the project into it with the versions in constraints.txt: create_venv.sh [EXTRA]
#   VENV=folder      the environment to make (default: .venv)
#   PYTHON=path      the Python to use (default: the newest that is installed)
#   NEWEST=3.13      the newest version of Python to use (default: 3.14)
#   TORCH_INDEX=url  the index for torch; if it is set but empty, pip's usual index
set -eu
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv}
NEWEST=${NEWEST:-3.14}

# Both also constrain the packages that pip builds; from pip 25.3 on it needs the second variable for
# that. The paths are relative because pip splits these variables at spaces.
export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    echo "$1" >&2
    exit 1
}

# Run it, since pyenv puts commands on the PATH that only print an error.
supported() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${NEWEST#3.}))" >/dev/null 2>&1
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        supported "$PYTHON" || fail "PYTHON=$PYTHON does not run as Python 3.11 to $NEWEST."
        return
    fi
    for PYTHON in python3.14 python3.13 python3.12 python3.11; do
        if supported "$PYTHON"; then return; fi
    done
    fail "No Python 3.11 to $NEWEST found: install one, or give its path as PYTHON=path."
}

create_venv() {
    # The folder is removed below, so it must be an environment of an earlier attempt, or empty.
    [ -e "$VENV"/pyvenv.cfg ] || [ -z "$(ls -A "$VENV" 2>/dev/null)" ] || fail "$VENV is not a virtual environment: choose another folder with VENV=folder."
    choose_python
    name=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$PYTHON cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt install $name-venv)."
    rm -rf "$VENV"
    echo "Making $VENV with $name"
    "$PYTHON" -m venv "$VENV" || { rm -rf "$VENV"; fail "$PYTHON could not make $VENV."; }
    touch "$VENV"/created
}

# A timer of three seconds, since the timeout of urlopen does not cover the lookup of the host's name.
reachable() {
    "$VENV"/bin/python -c '
import os, sys, threading, urllib.request
timer = threading.Timer(3, os._exit, [1])
timer.daemon = True
timer.start()
urllib.request.urlopen(sys.argv[1])
' "$1" 2>/dev/null
}

# On Linux the usual torch installs gigabytes of CUDA, which need an NVIDIA driver.
choose_torch_index() {
    if [ -n "${TORCH_INDEX+set}" ]; then return; fi
    TORCH_INDEX=
    if [ "$(uname -s)" != Linux ] || [ -e /proc/driver/nvidia/version ]; then return; fi
    if nvidia-smi >/dev/null 2>&1; then return; fi # as in WSL, which has no /proc/driver
    cpu=https://download.pytorch.org/whl/cpu
    if reachable "$cpu/torch/"; then TORCH_INDEX=$cpu; fi
}

pip() {
    "$VENV"/bin/python -m pip "$@"
}

[ -e "$VENV"/created ] && supported "$VENV"/bin/python || create_venv

pinned=$(grep '^torch==' constraints.txt)
installed=$(pip list --format=freeze | grep '^torch==' | cut -d+ -f1) # 2.13.0+cpu is 2.13.0
if [ "$installed" != "$pinned" ]; then
    choose_torch_index
    if [ -n "$TORCH_INDEX" ]; then
        # Only torch is installed from this index.
        pip install --no-deps --index-url "$TORCH_INDEX" torch ||
            fail "$TORCH_INDEX has no $pinned: use the usual index with TORCH_INDEX= (empty)."
    fi
fi
pip install --editable ".${1:+[$1]}"
