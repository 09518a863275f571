# shellcheck shell=bash
# Sourced by tests/run and examples/run: what a machine needs, installed by apt where we may.

PATH=$PATH:/usr/sbin:/sbin

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

apt_install() { # PACKAGE…
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >&2
    apt-get install -qy --no-install-recommends "$@" >&2
}

# need PROGRAM:PACKAGE…: a program may also be a path. Whoever may not install is told what is missing.
need() {
    local tool missing=()
    for tool in "$@"; do
        command -v "${tool%%:*}" >/dev/null || [ -e "${tool%%:*}" ] || missing+=("${tool##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! is_root || ! command -v apt-get >/dev/null; then die "please install: ${missing[*]}"; fi
    apt_install "${missing[@]}"
}

# need_rust: cargo as new as Cargo.toml asks for. HOME may be an empty folder: the toolchain is then
# in the home that the user database names.
need_rust() {
    local home wanted
    home=$(getent passwd "$(id -u)" | cut -d: -f6)
    if [ -z "${RUSTUP_HOME:-}" ] && [ ! -e "${HOME:-}/.rustup" ] && [ -e "$home/.rustup" ]; then
        export RUSTUP_HOME=$home/.rustup
    fi
    if [ -z "${CARGO_HOME:-}" ] && [ ! -e "${HOME:-}/.cargo" ] && [ -e "$home/.cargo" ]; then
        export CARGO_HOME=$home/.cargo
    fi
    PATH=$PATH:${CARGO_HOME:-${HOME:-$home}/.cargo}/bin:$home/.cargo/bin
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    rust_is "$wanted" && return
    if is_root && apt-cache show rustup >/dev/null 2>&1; then
        apt_install rustup
        rustup toolchain install stable --profile minimal --component clippy,rustfmt >&2
    fi
    rust_is "$wanted" || die "needs Rust $wanted or newer: https://rustup.rs"
}

rust_is() { # AT-LEAST
    local have
    have=$(cargo --version 2>/dev/null | cut -d' ' -f2)
    [ -n "$have" ] && printf '%s\n' "$1" "$have" | sort -VC
}
