# shellcheck shell=bash
# What setup, demo and test share: where things are, how they speak, how a missing program is had.
# Sourced, never run. Sets ROOT and TOOLS; changes PATH and CARGO_TARGET_DIR for this process alone.

set -euo pipefail

# `cd` may print, and follow CDPATH, unless told otherwise.
ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd -P)
TOOLS=$ROOT/.tools
VENV=$TOOLS/venv
export ROOT TOOLS VENV
# What pip brought stands last: it fills gaps only.
PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$TOOLS/build/bin
export PATH
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

# One line per thing: `ok cmake 4.1.0`.
say() { printf '%-8s %s\n' "$1" "$2"; }
heading() { printf '\n==> %s\n' "$1"; }
die() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# apt_install PACKAGE…: false where we are not root or there is no apt-get.
apt_install() {
    { [ "$(id -u)" -eq 0 ] && have apt-get; } || return 1
    say install "$* (apt-get)"
    local attempt
    for attempt in 1 2; do
        if DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$TOOLS/apt.log" 2>&1; then
            return 0
        fi
        [ "$attempt" -eq 2 ] || apt-get update -q >>"$TOOLS/apt.log" 2>&1 || true
    done
    tail -n 5 "$TOOLS/apt.log" >&2
    return 1
}

# A build tool of jemalloc's cannot work below a folder with a blank in its name.
choose_target_folder() {
    case ${CARGO_TARGET_DIR:-$ROOT/target} in
        *[[:space:]]*) ;;
        *) return 0 ;;
    esac
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}
    case $cache in *[[:space:]]*) cache=/var/tmp/conclave-$(id -u) ;; esac
    CARGO_TARGET_DIR=$cache/conclave/target-$(printf '%s' "$ROOT" | cksum | cut -d ' ' -f 1)
    export CARGO_TARGET_DIR
    say note "building in $CARGO_TARGET_DIR, because this folder's name holds a blank"
}

# A Python of at least 3.10, as the test tools need.
find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# make_venv FOLDER: a virtual environment that has pip, also where Debian left python3-venv out.
make_venv() {
    local folder=$1 python
    if [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then return 0; fi
    rm -rf "$folder"
    python=$(find_python) || {
        apt_install python3 python3-venv || die "Python 3.10 or later is needed; install python3"
        python=$(find_python) || die "this system's Python is older than 3.10"
    }
    "$python" -m venv "$folder" >/dev/null 2>&1 && return 0
    rm -rf "$folder"
    if apt_install python3-venv && "$python" -m venv "$folder" >/dev/null; then return 0; fi
    rm -rf "$folder"
    if "$python" -m pip install -q --target "$TOOLS/virtualenv" virtualenv &&
        PYTHONPATH=$TOOLS/virtualenv "$python" -m virtualenv -q "$folder"; then
        return 0
    fi
    die "cannot make a virtual environment; install python3-venv"
}

# The tests' JavaScript client needs Node.js 20; where the system has none, setup put one into the venv.
node_is_new_enough() {
    have node && have npm &&
        node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null
}
use_node() {
    node_is_new_enough || PATH=$VENV/bin:$PATH
    hash -r
    node_is_new_enough
}
