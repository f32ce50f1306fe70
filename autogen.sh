#!/bin/sh
# autogen.sh         make ./configure, as people expect
# autogen.sh demo    install what the build needs, build, and show the agent at work on sample records
# autogen.sh check   install what the tests need, build, and run them all; ends with "N passed, N failed, N skipped"
#
# demo and check work on a copy of the sources in build/src, so that an in-tree ./configure is neither needed nor disturbed.
set -eu
cd "$(dirname "$0")"
top=$(pwd)

BUILD_PACKAGES="autoconf automake pkg-config gcc g++ make libcurl4-openssl-dev libssl-dev libyaml-dev zlib1g-dev
	libsimdjson-dev libdeflate-dev librdkafka-dev libsystemd-dev libmicrohttpd-dev libgnutls28-dev"
TEST_PACKAGES="libcmocka-dev libjson-c-dev clang libclang-rt-14-dev python3 python3-venv openssl git xz-utils
	default-jre-headless maven liblognorm-utils
	build-essential debhelper lintian mmdebstrap rpm systemd mandoc logrotate apparmor rsyslog zsh fish"
# The status page's test: a browser without a window.
TEST_PACKAGES="$TEST_PACKAGES chromium-headless-shell fonts-dejavu-core"

say() { printf '%s\n' "$*"; }
die() { say "autogen.sh: $*" >&2; exit 1; }

# Debian packages of the list that are not there yet.
missing() {
	for p in "$@"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || printf '%s ' "$p"
	done
}

# need WORD PACKAGES: installs the missing ones, saying so; a machine without apt must have them already.
need() {
	what=$1; shift
	command -v apt-get >/dev/null 2>&1 || { say "no apt-get here: $what needs $*"; return 0; }
	lack=$(missing "$@")
	[ -n "$lack" ] || return 0
	[ "$(id -u)" = 0 ] || die "$what needs these packages: $lack(run: sudo apt-get install $lack)"
	say "installing for the $what: $lack"
	export DEBIAN_FRONTEND=noninteractive
	mkdir -p "$top/build"
	log=$top/build/install.log
	{ apt-get -q update && apt-get install -q -y --no-install-recommends $lack; } >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "apt-get failed; the whole log is $log"; }
}

# borrow PACKAGE PROGRAM: one program out of a Debian package that would bring a service along; into build/tools. Tests that miss it say so.
borrow() {
	command -v "${2##*/}" >/dev/null 2>&1 || [ -x "build/tools/$2" ] && return 0
	command -v apt-get >/dev/null 2>&1 || return 0
	say "taking ${2##*/} out of the package $1"
	mkdir -p build/tools/get
	(cd build/tools/get && apt-get -q download "$1" && dpkg-deb -x "$1"_*.deb . && mkdir -p "../${2%/*}" && mv "$2" "../$2") >build/borrow.log 2>&1 ||
		say "which did not work, see build/borrow.log"
	rm -rf build/tools/get
}

# The sources alone, with their times, in build/src: nothing of an in-tree build comes along.
copy_sources() {
	mkdir -p build
	rm -rf build/src.new
	mkdir build/src.new
	tar -cf - --exclude='*.o' --exclude='*.a' --exclude='.deps' --exclude='.dirstamp' --exclude='__pycache__' \
		--exclude='*.log' --exclude='*.trs' VERSION README.md autogen.sh configure.ac Makefile.am agent sinks \
		schemas packaging tests | tar -xf - -C build/src.new
	# Build tools' output is kept while its input is the same.
	if [ -d build/src ] && cmp -s build/src/configure.ac build/src.new/configure.ac &&
	   cmp -s build/src/VERSION build/src.new/VERSION && [ -f build/src/configure ] && same_makefiles; then
		for f in configure config.h.in aclocal.m4 Makefile.in build-aux; do
			[ -e "build/src/$f" ] && cp -a "build/src/$f" build/src.new/
		done
	fi
	rm -rf build/src
	mv build/src.new build/src
	[ -f build/src/configure ] || (cd build/src && autoreconf -fi) >build/autoreconf.log 2>&1 ||
		{ tail -n 20 build/autoreconf.log >&2; die "autoreconf failed"; }
}

same_makefiles() {
	for f in Makefile.am packaging/CHANGELOG.md schemas/Makefile.inc packaging/Makefile.inc tests/Makefile.inc; do
		cmp -s "build/src/$f" "build/src.new/$f" || return 1
	done
}

# build NAME TARGETS -- CONFIGURE OPTIONS: an out-of-tree build in build/NAME; quiet unless it fails.
build() {
	name=$1; targets=$2; shift 2
	mkdir -p "build/$name"
	(
		cd "build/$name"
		[ -f Makefile ] && [ "$(cat options 2>/dev/null)" = "$*" ] && [ ! ../src/configure -nt Makefile ] ||
			{ ../src/configure -q "$@" && printf '%s' "$*" >options; }
		# shellcheck disable=SC2086
		make -s -j"$(nproc)" $targets
	) >"build/$name.log" 2>&1 || { tail -n 30 "build/$name.log" >&2; die "the build failed; the whole log is build/$name.log"; }
}

make_configure() {
	command -v autoreconf >/dev/null 2>&1 || die "autoreconf is needed: Debian autoconf automake pkg-config gcc g++ make"
	autoreconf -fi
	say "now: ./configure && make"
}

case ${1:-} in
'')
	make_configure
	;;
demo)
	need build $BUILD_PACKAGES
	say "building"
	copy_sources
	build demo aispm-agent CFLAGS='-O2 -g'
	exec sh "$top/packaging/examples/demo/demo.sh" "$top/build/demo/aispm-agent" "$top"
	;;
check)
	need build $BUILD_PACKAGES
	need tests $TEST_PACKAGES
	borrow prometheus usr/bin/promtool
	PATH=$PATH:$top/build/tools/usr/bin
	export PATH
	copy_sources
	exec python3 tests/check.py
	;;
*)
	die "usage: ./autogen.sh [demo|check]"
	;;
esac
