# Sourced by the scripts that need a Python package: venv DIR PACKAGE… makes a
# virtual environment with the packages in it. Debian's Python comes without
# venv; it is installed where that is allowed.
venv() {
	dir=$1
	shift
	if ! python3 -m venv "$dir" >/dev/null 2>&1; then
		command -v apt-get >/dev/null || { echo "python3 needs venv: install python3-venv" >&2; return 1; }
		root=
		[ "$(id -u)" = 0 ] || root='sudo -n'
		echo "installing python3-venv"
		$root apt-get update -qq && $root apt-get install -y -qq python3-venv >/dev/null || return 1
		rm -rf "$dir"
		python3 -m venv "$dir"
	fi
	"$dir/bin/pip" install --quiet --disable-pip-version-check "$@"
}
