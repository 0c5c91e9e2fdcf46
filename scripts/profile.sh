#!/bin/sh
# Takes the profile that Sluice is built by: cmd/sluice/default.pgo, which the
# Go compiler looks at to inline what is hot. Each case of the benchmark has the
# same weight, a few seconds.
#
#   sh scripts/profile.sh CASE…
set -eu
cd "$(dirname "$0")/.."
GO="${GO:-go}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$GO" build -trimpath -o "$work/bench" ./internal/bench
for case in "$@"; do
	"$work/bench" -sluice bin/sluice -only "$case" -rounds 1 -for 5s -profile "$work/$case.prof" >/dev/null
done
"$GO" tool pprof -proto "$work"/*.prof >"$work/merged" 2>/dev/null
mv "$work/merged" cmd/sluice/default.pgo
