# The remote end of a get, after home.sh: finds what was asked for and sends it as tar archives on stdout, each announced
# by a line, then says how it went, and waits until the near end has everything in place. The lines before these set:
# token, verify, "$@" (what is asked for). POSIX sh, tar, find; sha256sum or shasum with verify.
#
#   phalanx-get TOKEN archive N ITEMS    a tar archive follows: so many files and directories that the Nth word stands for
#   phalanx-get TOKEN sums               lines of sha256sum follow, for that archive
#   phalanx-get TOKEN sum HASH LENGTH    a name of so many bytes follows, which sha256sum could not write everywhere
#   phalanx-get TOKEN done N             that was all, for all of the N words
#   phalanx-get TOKEN failed WHY
exec 3>&1

say() {
    printf '\nphalanx-get %s %.2000s\n' "$token" "$1"
}

# Ends with the status $1 when the near end has heard the last word. Without an answer (something has closed stdin before
# its time), the near end gets a second for it.
leave() {
    read -r answer || sleep 1
    [ "${answer:-ok}" = ok ] || exit 1
    exit "$1"
}

fail() {
    one_line "$*"
    say "failed $line"
    leave 1
}

exists() {
    [ -e "$1" ] || [ -L "$1" ]
}

# GNU's tar takes \101 in a name that it is given for an A.
tar_of() {
    case $* in
    *\\*)
        case $(tar --version 2>/dev/null) in
        *GNU*)
            tar --no-unquote "$@"
            return
            ;;
        esac
        ;;
    esac
    tar "$@"
}

# Refuses files that say that they are empty and are not, of which tar sends nothing: /proc is full of them.
check_empty() {
    liar=$(find -H "$@" -type f -size 0 -exec sh -c '
        for file; do
            line=
            ! { read -r line || [ -n "$line" ]; } <"$file" || { printf "%s\n" "$file"; exit; }
        done' sh {} + 2>/dev/null)
    [ -z "$liar" ] || fail "\`${liar%%"$newline"*}' says that it is empty, and is not: copy it to a file on that host, and get that"
}

# Checksums of "$@". Some sha256sums write a backslash or a line break as it is, others escape it: those are for us.
sum_up() {
    say sums
    find -H "$@" -type f \( -path "*$newline*" -o -path '*\\*' \) -exec sh -c '
        name=$3
        set -- "$1" "$2" $($2 <"$name")
        printf "\nphalanx-get %s sum %s %s\n%s\n" "$1" "$3" "${#name}" "$name"' sh "$token" "$sum" {} \; \
        -o -type f -exec $sum {} + || fail "cannot compute the checksums"
}

# Sends "$@", files of the current directory.
send() {
    [ $# -gt 0 ] || return 0
    say "archive $number $#"
    why=$(tar_of -c${follow}f - "$@" 2>&1 1>&3)
    status=$?
    [ -z "$why" ] || printf '%s\n' "$why" >&2
    if [ $status -ne 0 ]; then
        # GNU tar's 1 also means that a file grew while it was read, as logs do; one that shrank is damaged.
        case $why in
        *" shrank "*) fail "a file became shorter while it was read: $why" ;;
        *) [ $status -eq 1 ] && tar --version 2>/dev/null | grep -q GNU || fail "cannot pack it: ${why:-tar exited with $status}" ;;
        esac
    fi
    check_empty "$@"
    [ "$verify" = 0 ] || sum_up "$@"
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
command -v find >/dev/null || fail "there is no find on that host: install it"

start=$PWD
for sending in 0 1; do
    number=0
    for asked; do
        number=$((number + 1))
        look "$asked"
    done
done
say "done $number"
leave 0
