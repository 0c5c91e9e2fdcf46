#!/bin/sh
# Runs every fuzz target for the given time each (default 20s).
set -eu
cd "$(dirname "$0")/.."
time="${1:-20s}"
found=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' .); do
	dir="$(dirname "$file")"
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "== $dir $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir"
	done
done
test "$found" = 1 || { echo "no fuzz target found" >&2; exit 1; }
