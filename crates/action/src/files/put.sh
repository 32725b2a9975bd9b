# The remote end of a put: unpacks a tar archive from stdin into a private directory beside the destination, and moves
# what came into place when all of it has. Comes after install.sh. The lines before that set: token, into, verify,
# destination, "$@" (names). POSIX sh, tar, mkdir, mv, chmod, rm; find, if it is there;
# sha256sum or shasum, grep and head with verify.
# Says on stdout, in one line of its own, how it went:
#
#   phalanx-put TOKEN placed SOURCES RECEIPT     everything is in place; RECEIPT was the last thing in the archive
#   phalanx-put TOKEN failed WHY
trap '' PIPE

say() {
    printf '\nphalanx-put %s %.2000s\n' "$token" "$1"
}

fail() {
    remove
    one_line "$*"
    say "failed $line"
    exit 1
}
trap 'fail "stopped by a signal there"' HUP INT TERM

# A line of the list of checksums that sha256sum could not read everywhere: answers as sha256sum -c does.
check() {
    set -- "$1" "$2" $($sum <"$2")
    if [ "$1" = "$3" ]; then echo "$1: OK"; else printf '%s: FAILED\n' "$2"; fi
}

check_sums() {
    said=$(
        cd "$temporary" || exit
        [ ! -s sums ] || $sum -c sums 2>&1
        . ./odd
    )
    checked=$(printf '%s\n' "$said" | grep -c ': OK$')
    [ "$checked" = "$sums" ] || fail "its checksum differs from ours: $(printf '%s\n' "$said" | grep -v ': OK$' | head -n 3)"
}

command -v tar >/dev/null || fail "there is no tar on that host: install it"
[ "$verify" = 0 ] || find_sum ", or leave --verify out"
find_destination
# Named before it is there: a signal may come between the two.
temporary=$directory.phalanx-put-$token
why=$(mkdir -m 700 "$temporary" 2>&1) || {
    temporary=
    fail "cannot write into \`$directory': ${why##*: }"
}

why=$(tar -xopf - -C "$temporary" 2>&1) || fail_to_unpack $? "$why"
check_end "$temporary"
[ "$verify" = 0 ] || check_sums
place_all "$temporary" "$@"
remove
say "placed $index $receipt"
exit 0
