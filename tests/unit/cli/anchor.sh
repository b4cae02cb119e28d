#!/bin/bash
# SPDX-License-Identifier: ISC
# skep anchor, with a time-stamping authority made by openssl. $1: a directory of evidence is made by this program.
set -u
: "${SKEP:?}" "${SKEP_MAKE:?}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir ev
n=0
ok() {
	n=$((n + 1))
	local what=$1
	shift
	if "$@" >out 2>err; then echo "ok $n - $what"; else
		echo "not ok $n - $what"
		sed 's/^/# /' out err
	fi
}
not() { ! "$@"; }
status() {
	local want=$1
	shift
	"$@"
	[ $? = "$want" ]
}
authority() { # NAME
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" \
		-addext extendedKeyUsage=critical,timeStamping 2>/dev/null
	cat >"$1.cnf" <<-TEXT
		[tsa]
		default_tsa = t
		[t]
		serial = $1.serial
		crypto_device = builtin
		signer_cert = $1.pem
		signer_key = $1.key
		signer_digest = sha256
		default_policy = 1.2.3.4
		digests = sha256
	TEXT
	echo 01 >"$1.serial"
}
command -v openssl >/dev/null || { echo "1..0 # SKIP no openssl"; exit 0; }
authority good && authority other || exit 1
"$SKEP_MAKE" ev || exit 1
anchor=$("$SKEP" anchor --dir ev)
echo "$anchor" >anchors
echo "1..15"
ok "the anchor has its form" grep -Eq '^skep-anchor-1:demo:[0-9]+:[0-9a-f]{64}:2026-11-23T[0-9:.]+Z$' anchors
ok "verify finds it, and the end is sealed" status 0 "$SKEP" verify --dir ev --from anchors
ok "a program gets it" "$SKEP" anchor --dir ev --exec tee --exec copy
ok "byte for byte" cmp copy anchors
ok "a program that fails is told" not "$SKEP" anchor --dir ev --exec false
ok "one that is not there, too" not "$SKEP" anchor --dir ev --exec "$dir/none"
ok "a request is written" "$SKEP" anchor --dir ev --tsq a.tsq
ok "never over another one" not "$SKEP" anchor --dir ev --tsq a.tsq
openssl ts -reply -config good.cnf -queryfile a.tsq -out a.tsr 2>err || sed 's/^/# /' err
ok "its answer is about the anchor" "$SKEP" anchor --tsr a.tsr --from anchors
cp out seen
ok "that its signature was not looked at is said" grep -q "NOT checked" seen
ok "it is signed by the authority" "$SKEP" anchor --tsr a.tsr --from "$anchor" --ca good.pem
ok "and by no other" not "$SKEP" anchor --tsr a.tsr --from "$anchor" --ca other.pem
ok "it is not about another anchor" not "$SKEP" anchor --tsr a.tsr --from "${anchor/demo:/demo:1}" --ca good.pem
head -c 700 a.tsr >cut.tsr
ok "a cut answer is refused" not "$SKEP" anchor --tsr cut.tsr --from anchors
truncate -s -1 "$(find ev/journal -type f | sort | tail -1)"
ok "an end that is cut off is told" not "$SKEP" verify --dir ev
