#!/bin/sh
# Compares the working tree with another commit: builds Sluice of both, and
# loads a no-op, the old and the new one in turns, in one run.
#
#   sh scripts/bench-compare.sh COMMIT [FLAG…]
#
# The flags are those of internal/bench, e.g. -only headers-only -for 1s. The
# other commit is checked out into a temporary folder, which is gone at the end
# also where the run is broken off.
set -eu
cd "$(dirname "$0")/.."
GO="${GO:-go}"

if [ -z "${1:-}" ]; then
	echo "say what to compare with: make bench-compare BASE=main (any commit, branch or tag)" >&2
	exit 2
fi
base=$1
shift
if ! commit=$(git rev-parse --quiet --verify "$base^{commit}"); then
	echo "BASE=$base is no commit, branch or tag of this repository" >&2
	exit 2
fi

work=$(mktemp -d)
clean() {
	git worktree remove --force "$work/tree" >/dev/null 2>&1 || true
	rm -rf "$work"
	git worktree prune
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

git worktree add --quiet --detach "$work/tree" "$commit"
echo "old: $(git log -1 --format='%h %s' "$commit")"
if [ -z "$(git status --porcelain)" ]; then
	echo "new: $(git log -1 --format='%h %s')"
else
	echo "new: $(git log -1 --format='%h %s'), with what is changed in the working tree"
fi
if ! (cd "$work/tree" && "$GO" build -trimpath -o "$work/old" ./cmd/sluice); then
	echo "Sluice of $base does not build" >&2
	exit 1
fi
"$GO" build -trimpath -o "$work/new" ./cmd/sluice
"$GO" build -trimpath -o "$work/bench" ./internal/bench
"$work/bench" -sluice "$work/new" -base "$work/old" "$@"
