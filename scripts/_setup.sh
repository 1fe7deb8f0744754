# Read by the other scripts: makes .venv with what a lock file pins and this project itself.
# Nothing is done when place, Python, lock and pyproject.toml are those of the last time.

cd "$(dirname "$0")/.."
python=${SKYSHADE_PYTHON:-python3}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

make_venv() {
    command -v "$python" >/dev/null 2>&1 ||
        fail "no $python here; skyshade needs Python 3.11 or newer (name one in SKYSHADE_PYTHON)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version 2>&1) is too old; skyshade needs Python 3.11 or newer" \
            "(name one in SKYSHADE_PYTHON)"
    "$python" -m venv --clear .venv || fail "cannot make .venv with $python"
}

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

# What a finished .venv remembers, so that a moved or half-made one is made anew.
stamp() {
    echo "$(pwd) $python"
    cat pyproject.toml "$1"
}

# prepare LOCK: have .venv hold what LOCK pins. requirements-test.lock includes requirements.lock.
prepare() {
    if [ "$(sed 1q .venv/requirements.lock 2>/dev/null)" != "$(pwd) $python" ] ||
        ! .venv/bin/python -c '' 2>/dev/null; then
        make_venv
    fi
    [ "$(cat ".venv/$1" 2>/dev/null)" = "$(stamp "$1")" ] && return
    echo "Installing into .venv (the first time takes a minute or two)" >&2
    install -r "$1"
    install --no-deps --editable .
    for lock in requirements.lock "$1"; do
        stamp "$lock" >".venv/$lock"
    done
}
