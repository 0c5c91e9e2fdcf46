#!/bin/sh
# Puts the pinned LiteLLM proxy at .tools/litellm/bin/litellm: about 900 MB.
# Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/pip.sh

version=1.108.7
if [ "$(cat .tools/litellm.version 2>/dev/null)" = "$version" ] && [ -x .tools/litellm/bin/litellm ]; then
	exit 0
fi
echo "getting LiteLLM $version"
rm -rf .tools/litellm
mkdir -p .tools
venv .tools/litellm "litellm[proxy]==$version"
echo "$version" >.tools/litellm.version
