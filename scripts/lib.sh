# Shared by scripts/demo, scripts/test and bench/run: what is needed on a bare Debian 12, and the build.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '\n\033[1m== %s\033[0m\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@" || die "installing needs root: run as root, or allow sudo without a password, or install first: ${missing[*]}"
    else
        die "not root and no sudo; install first: ${missing[*]}"
    fi
}

# need COMMAND PACKAGE, and need_lib PKG-CONFIG-NAME PACKAGE: note what is not there.
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}

need_lib() {
    pkg-config --exists "$1" 2>/dev/null || missing+=("$2")
}

# Installs what is missing for the build and the examples, and with the word `tests` what tests run as users' programs.
# apt-get is called only when something is.
install_missing() {
    missing=()
    if [ "${1:-}" = tests ]; then
        need gunicorn gunicorn
        need tmux tmux
        [ -e /usr/share/nodejs/express ] || missing+=(node-express)
    fi
    need cc gcc
    need cmake cmake
    need ninja ninja-build
    need pkg-config pkg-config
    need make make
    need python3 python3
    need node nodejs
    need curl curl
    need git git
    need_lib libuv libuv1-dev
    need_lib yaml-0.1 libyaml-dev
    need_lib jansson libjansson-dev
    need_lib sqlite3 libsqlite3-dev
    need_lib zlib zlib1g-dev
    need_lib libzstd libzstd-dev
    need_lib libpcre2-8 libpcre2-dev
    need_lib ncursesw libncurses-dev
    need_lib cmocka libcmocka-dev
    [ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
    [ ${#missing[@]} = 0 ] && return
    command -v apt-get >/dev/null || die "missing, and there is no apt-get: ${missing[*]}"
    say "Installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "${missing[@]}"
}

# build_in FOLDER CMAKE-ARGUMENTS...: configures build/FOLDER and builds it.
build_in() {
    local folder=$top/build/$1
    shift
    cmake -S "$top" -B "$folder" -G Ninja "$@" >/dev/null
    cmake --build "$folder"
}

# The same by a preset of CMakePresets.json.
build_preset() {
    (cd "$top" && cmake --preset "$1" >/dev/null && cmake --build --preset "$1")
}
