#!/usr/bin/env bash
# build.sh [SANDBOX…]: copies the sources of zlib to a work folder, then configures, builds and tests
# them there, with the given command (if any) in front. The work folder is $WORK, or one that is
# removed in the end.
set -euo pipefail
sources=$("$(dirname "$0")/../../tests/fetch/zlib")/src

if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"
cp -R "$sources/." "$WORK"
cd "$WORK"
"$@" sh -c './configure && make -j2 && make test'
