# The far end of a get, after home.sh: finds what was asked for and sends it as tar archives on stdout, each announced by a line, then
# says how it went, and ends well only when the near end says that all is in place. The lines before these set: token,
# verify, "$@" (what is asked for). POSIX sh, tar; sha256sum or shasum, find and tr with verify.
exec 3>&1

fail() {
    printf '\nphalanx-get %s failed ' "$token"
    printf '%s\n' "$*" | tr '\n' ' '
    echo
    exit 1
}

exists() {
    [ -e "$1" ] || [ -L "$1" ]
}

# Sends "$@", files of the current directory.
send() {
    [ $# -gt 0 ] || return 0
    printf '\nphalanx-get %s archive\n' "$token"
    why=$(tar -c${follow}f - "$@" 2>&1 1>&3)
    status=$?
    [ -z "$why" ] || printf '%s\n' "$why" >&2
    if [ $status -ne 0 ]; then
        # GNU tar's 1 also means that a file grew while it was read, as logs do; one that shrank is damaged.
        case $why in
        *" shrank "*) fail "a file became shorter while it was read: $why" ;;
        *) [ $status -eq 1 ] && tar --version 2>/dev/null | grep -q GNU || fail "cannot pack it: $why" ;;
        esac
    fi
    if [ "$verify" = 1 ]; then
        printf '\nphalanx-get %s sums\n' "$token"
        find -H "$@" -type f -exec $sum {} + || fail "cannot compute the checksums"
    fi
}

# Of "$@", sends those that are a link to a file ($follow is h: as the file), or all others ($follow is empty).
send_kind() {
    left=$#
    while [ $left -gt 0 ]; do
        item=$1
        shift
        left=$((left - 1))
        kind=
        [ ! -L "$item" ] || [ -d "$item" ] || kind=h
        [ ! -L "$item" ] || [ ! -d "$item" ] || item=$item/.
        [ "$kind" != "$follow" ] || set -- "$@" "$item"
    done
    send "$@"
}

# Looks at what matches $1 in the current directory: a file of exactly that name, or else those of the pattern.
in_directory() {
    if exists "./$1"; then
        set -- "./$1"
    else
        IFS=
        set -- ./$1
        unset IFS
        exists "$1" || return 0
    fi
    matched=1
    [ "$sending" = 1 ] || return 0
    follow=
    for item; do
        [ ! -L "$item" ] || follow=h
    done
    # Links are rare, and telling them apart is slow.
    [ -n "$follow" ] || { send "$@"; return; }
    send_kind "$@"
    follow=
    send_kind "$@"
}

# Looks at what matches the path $1.
look() {
    expand_home "$1"
    path=$found
    while :; do
        case $path in
        ?*/) path=${path%/} ;;
        *) break ;;
        esac
    done
    case $path in
    */*)
        directory=${path%/*}/
        base=${path##*/}
        ;;
    *)
        directory=./
        base=$path
        ;;
    esac
    case $base in
    "" | . | ..) fail "\`$1' has no name of its own: ask for it by its name, or for what is in it" ;;
    esac
    set -- "$1" "$base" "$directory"
    matched=
    if exists "$directory"; then
        cd "$directory" 2>/dev/null || fail "cannot enter \`$directory': permission denied"
        in_directory "$2"
        cd "$start" || fail "cannot return to \`$start'"
    else
        IFS=
        for directory in $directory; do
            unset IFS
            if cd "$directory" 2>/dev/null; then
                in_directory "$2"
                cd "$start" || fail "cannot return to \`$start'"
            fi
        done
        unset IFS
    fi
    [ -n "$matched" ] || fail "there is no \`$1'"
}

command -v tar >/dev/null || fail "there is no tar on that host: install it"
sum=
if [ "$verify" = 1 ]; then
    if command -v sha256sum >/dev/null; then sum="sha256sum"
    elif command -v shasum >/dev/null; then sum="shasum -a 256"
    else fail "there is neither sha256sum nor shasum on that host: install one, or leave --verify out"
    fi
fi

start=$PWD
for sending in 0 1; do
    for asked; do
        look "$asked"
    done
done
printf '\nphalanx-get %s done\n' "$token"
read -r answer && [ "$answer" = ok ]
