#!/bin/sh
# Puts the pinned aimock, a server that mocks the APIs of model vendors, at
# .tools/aimock. Needs Node 20 and npm. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."

version=1.43.0
if [ "$(cat .tools/aimock.version 2>/dev/null)" = "$version" ] && [ -e .tools/aimock/node_modules/.bin/llmock ]; then
	exit 0
fi
command -v npm >/dev/null || {
	echo "the tests against aimock need Node 20 and npm" >&2
	exit 1
}
echo "getting aimock $version"
rm -rf .tools/aimock
mkdir -p .tools/aimock
npm install --silent --no-audit --no-fund --prefix .tools/aimock "@copilotkit/aimock@$version"
echo "$version" >.tools/aimock.version
