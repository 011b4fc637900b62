#!/usr/bin/env bash
# Runs fuzz targets for a bounded time each, on one core, and fails if one of them found anything:
#
#   fuzz/run.sh [SECONDS [TARGET...]]     default: 120 seconds, all targets
#
# Needs cargo-fuzz, a nightly Rust compiler and a C++ compiler. What is found is in fuzz/artifacts; give its path to
# `cargo +nightly fuzz run TARGET` to see it again. Seeds come from fuzz/seed.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-120}
targets=("${@:2}")
((${#targets[@]})) || targets=(guard_parse query update rdf_import differential)
# Safe Rust: no sanitizer, which is four times as fast.
build=(--sanitizer none)
failed=()
for target in "${targets[@]}"; do
    printf '=== %s\n' "$target"
    nice -n 10 cargo +nightly fuzz run "${build[@]}" "$target" -- \
        -max_total_time="$seconds" -max_len=4096 -len_control=0 -timeout=20 -rss_limit_mb=2048 || failed+=("$target")
done
((${#failed[@]} == 0)) || { printf 'found something: %s\n' "${failed[*]}"; exit 1; }
