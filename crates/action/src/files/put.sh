# The far end of a put: unpacks a tar archive from stdin into a private directory beside the destination, and moves
# what came into place when all of it has. Comes after landing.sh. The lines before that set: token, into, verify,
# destination, "$@" (names). POSIX sh, tar, mkdir, mv, chmod, rm; sha256sum or shasum with verify. Its last line on
# stdout says how it went.
trap '' PIPE

fail() {
    remove
    printf '%s\n' "$*" | tr '\n' ' '
    echo
    exit 1
}
trap 'fail "stopped by a signal there"' HUP INT TERM

command -v tar >/dev/null || fail "there is no tar on that host: install it"
[ "$verify" = 0 ] || find_sum ", or leave --verify out"
find_destination
# Named before it is there: a signal may come between the two.
temporary=$directory.phalanx-put-$token
why=$(mkdir -m 700 "$temporary" 2>&1) || {
    temporary=
    fail "cannot write into \`$directory': ${why##*: }"
}

why=$(tar -xopf - -C "$temporary" 2>&1) || fail_to_unpack "$why"
[ -f "$temporary/end" ] || fail "the stream ended too early"
if [ "$verify" = 1 ] && [ -s "$temporary/sums" ]; then
    why=$(cd "$temporary" && $sum -c sums 2>&1) || {
        why=$(printf '%s\n' "$why" | grep -v ': OK$' | head -n 3)
        fail "its checksum differs from ours: $why"
    }
fi

place_all "$temporary" "$@"
remove
echo ok
exit 0
