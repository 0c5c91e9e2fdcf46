#!/bin/sh
# Puts the pinned LiteLLM proxy at .tools/litellm/bin/litellm: about 900 MB.
# Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

version=1.108.7
if have litellm "$version" .tools/litellm/bin/litellm; then
	exit 0
fi
echo "getting LiteLLM $version"
rm -rf .tools/litellm
mkdir -p .tools
venv .tools/litellm "litellm[proxy]==$version"
got litellm "$version"
