# shellcheck shell=bash
# Sourced by the scripts beside it: where the inputs are kept and how a download is checked.
#
#   begin NAME [FILE…]   $dest is the folder NAME of the cache. If it was made by this very script
#                        (and the pinned FILEs), print it and stop; else work goes on in $scratch.
#   finish               everything in $scratch/out becomes $dest, readable by all; print it.

umask 022
inputs=$(realpath -m "${SANDBOX_INPUTS:-${XDG_CACHE_HOME:-$HOME/.cache}/sandbox-inputs}")

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# need PROGRAM PACKAGE: the program, installed from the distribution if we may.
need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        die "needs $1: apt install $2"
    fi
    say "installing $2"
    apt-get install -y --no-install-recommends "$2" >&2
}

begin() {
    dest=$inputs/$1
    pins=$(cat "$0" "${BASH_SOURCE[0]}" "${@:2}" | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$dest/.pins" 2>/dev/null)" = "$pins" ]; then
        echo "$dest"
        exit 0
    fi
    mkdir -p "$inputs"
    scratch=$(mktemp -d "$inputs/.$1.XXXXXX")
    chmod 755 "$scratch"
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/out"
}

finish() {
    echo "$pins" >"$scratch/out/.pins"
    rm -rf "$dest"
    mv "$scratch/out" "$dest"
    echo "$dest"
}

# verify SHA256 FILE
verify() {
    echo "$1  $2" | sha256sum --check --quiet --strict >&2 || die "${2##*/} is not the pinned file"
}

# crate NAME VERSION SHA256: the crate's own files in $scratch/NAME-VERSION. Cargo does the download
# for a throw-away project that depends on it, into $CARGO_HOME, which is given the user's settings.
crate() {
    local settings=${CARGO_HOME:-$HOME/.cargo}/config.toml project=$scratch/project
    export CARGO_HOME=$scratch/cargo-home
    mkdir -p "$project/src" "$CARGO_HOME"
    [ ! -f "$settings" ] || cp "$settings" "$CARGO_HOME/"
    touch "$project/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' \
        "$1" "$2" >"$project/Cargo.toml"
    cargo fetch --quiet --manifest-path "$project/Cargo.toml" >&2
    local archive=("$CARGO_HOME"/registry/cache/*/"$1-$2.crate")
    verify "$3" "${archive[0]}"
    tar -xzf "${archive[0]}" -C "$scratch" --no-same-owner
}
