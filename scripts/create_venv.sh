#!/bin/sh
# Make .venv, and install the project into it at the versions in constraints.txt: create_venv.sh [EXTRA]
#   VENV=folder      makes it there instead
#   PYTHON=path      takes this Python instead of the newest found
#   NEWEST=3.13      takes none that is newer; it is 3.14 where nothing is said
#   TORCH_INDEX=url  takes torch from this index; set but empty, from where pip takes all the rest
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
NEWEST=${NEWEST:-3.14}

# Both bind packages that pip builds too: the second is its name for that from pip 25.3 on. The paths
# are relative because pip splits such a list at spaces.
export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    echo "$1" >&2
    exit 1
}

# Found is not enough: pyenv puts commands on the PATH that only print an error.
supported() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, ${NEWEST#3.}))" >/dev/null 2>&1
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        supported "$PYTHON" || fail "PYTHON=$PYTHON does not run as Python 3.11 to $NEWEST: name one that does."
        return
    fi
    for PYTHON in python3.14 python3.13 python3.12 python3.11; do
        if supported "$PYTHON"; then return; fi
    done
    fail "No Python 3.11 to $NEWEST found: install one, or say where it is with PYTHON=path."
}

create_venv() {
    # What is in the way is removed below: only what such an attempt has left, or nothing.
    [ -e "$VENV"/pyvenv.cfg ] || [ -z "$(ls -A "$VENV" 2>/dev/null)" ] || fail "$VENV is no virtual environment: name another folder."
    choose_python
    name=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$PYTHON cannot make virtual environments: install its venv (on Debian and Ubuntu: apt install $name-venv)."
    rm -rf "$VENV"
    echo "Making $VENV with $name"
    "$PYTHON" -m venv "$VENV" || { rm -rf "$VENV"; fail "$PYTHON could not make $VENV."; }
    touch "$VENV"/created
}

# Within three seconds in all: urlopen's own timeout does not cover looking up the host's name.
reachable() {
    "$VENV"/bin/python -c '
import os, sys, threading, urllib.request
timer = threading.Timer(3, os._exit, [1])
timer.daemon = True
timer.start()
urllib.request.urlopen(sys.argv[1])
' "$1" 2>/dev/null
}

# On Linux the usual torch brings gigabytes of CUDA, of no use without an NVIDIA driver.
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
        # Torch alone, so that nothing else comes from there.
        pip install --no-deps --index-url "$TORCH_INDEX" torch ||
            fail "No $pinned from $TORCH_INDEX: TORCH_INDEX= (empty) takes it from the usual index."
    fi
fi
pip install --editable ".${1:+[$1]}"
