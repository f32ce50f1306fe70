#!/bin/sh
# distcheck.sh BUILD: `make distcheck` and `make install DESTDIR=`, and whether the tarball holds all that the repository does, as TAP.
set -u
cd "$1" || exit 1
n=0; bad=0
step() {
	n=$((n + 1)); what=$1; shift
	if "$@" >step.log 2>&1; then echo "ok $n - $what"; else bad=1; echo "not ok $n - $what"; tail -n 30 step.log | sed 's/^/# /'; fi
}
installed() {
	rm -rf destdir && make -s install DESTDIR="$PWD/destdir" && test -x destdir/usr/local/bin/aispm-agent &&
	test -f destdir/usr/local/share/aispm-agent/schemas/envelopes.yaml && make -s uninstall DESTDIR="$PWD/destdir" &&
	test -z "$(find destdir -type f)"
}
# Files of the repository that the tarball lacks; a tree that is no checkout has nothing to ask.
complete() {
	git -C "${AISPM_SRC:-.}" ls-files | grep -v -e '^\.ci/' -e '^\.git' | LC_ALL=C sort >tracked.list
	xz -dc aispm-agent-*.tar.xz | tar -tf - | sed 's,^[^/]*/,,' | LC_ALL=C sort >packed.list
	LC_ALL=C comm -23 tracked.list packed.list >missing.list
	sed 's/^/not in the tarball: /' missing.list
	test ! -s missing.list
}
step "make install and uninstall with DESTDIR" installed
step "make distcheck" env MAKEFLAGS= make -s distcheck AM_DISTCHECK_CONFIGURE_FLAGS=--enable-werror
step "each file of the repository is in the tarball" complete
echo "1..$n"
exit $bad
