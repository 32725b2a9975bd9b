# Where what has come is put, for a put and for a chain: what a destination means there, and moving into place by
# renaming. Comes after home.sh. Who uses it says what `fail` does. The lines before these set: into, destination.
temporary=
newline='
'

remove() {
    [ -n "$temporary" ] || return 0
    rm -rf "$temporary" 2>/dev/null || { chmod -R u+rwx "$temporary"; rm -rf "$temporary"; }
}

# Moves $1 to $2, which is no directory.
move() {
    if [ -d "$2" ]; then
        fail "cannot replace \`$2': it is a directory there"
    elif [ -d "$1" ] && [ ! -L "$1" ] && [ ! -w "$1" ]; then
        # To move a directory is to write into it.
        chmod u+w "$1" && mv -f "$1" "$2" && chmod u-w "$2"
    else
        mv -f "$1" "$2"
    fi || fail "cannot move it to \`$2'"
}

# Moves $1 to $2; two directories become one.
place() {
    if [ ! -d "$1" ] || [ -L "$1" ] || [ ! -d "$2" ]; then
        move "$1" "$2"
        return
    fi
    chmod u+rwx "$1"
    for child in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -d "$child" ] && [ ! -L "$child" ]; then
            place "$child" "$2/${child##*/}"
        fi
    done
    from=$1
    to=$2
    set --
    for child in "$from"/* "$from"/.[!.]* "$from"/..?*; do
        if [ -e "$child" ] || [ -L "$child" ]; then
            [ ! -d "$to/${child##*/}" ] || fail "cannot replace \`$to/${child##*/}': it is a directory there"
            set -- "$@" "$child"
            [ $# -lt 100 ] || { mv -f "$@" "$to/" || fail "cannot move them into \`$to'"; set --; }
        fi
    done
    [ $# -eq 0 ] || mv -f "$@" "$to/" || fail "cannot move them into \`$to'"
    rmdir "$from"
}

find_sum() {
    if command -v sha256sum >/dev/null; then sum="sha256sum"
    elif command -v shasum >/dev/null; then sum="shasum -a 256"
    else fail "there is neither sha256sum nor shasum on that host: install one$1"
    fi
}

# Sets $destination, $into and $directory, which ends with a slash and is there.
find_destination() {
    expand_home "$destination"
    destination=${found:-.}
    case $destination in
    */ | . | .. | */. | */..) into=1 ;;
    esac
    if [ -d "$destination" ]; then
        into=1
    elif [ "$into" = 1 ]; then
        why=$(mkdir -p "$destination" 2>&1) || fail "cannot make the directory \`$destination': ${why##*: }"
    fi
    if [ "$into" = 1 ]; then
        directory=$destination
    else
        case $destination in
        */*) directory=${destination%/*}/ ;;
        *) directory=. ;;
        esac
        [ -d "$directory" ] || fail "there is no directory \`$directory' to put it in: make it, or end the destination with a slash to have it made"
    fi
    case $directory in
    */) ;;
    *) directory=$directory/ ;;
    esac
}

# Says what tar's complaint $1 means.
fail_to_unpack() {
    printf '%s\n' "$1" >&2
    case $1 in
    # The second is what GNU's tar says of a write that is cut short.
    *"No space left"* | *"Wrote only"* | *"quota exceeded"*) fail "cannot unpack it: the disk is full there, or a quota is used up" ;;
    *) fail "cannot unpack it: ${1%%"$newline"*}" ;;
    esac
}

# Moves what is in the directory $1, numbered, to where "$@" after it says.
place_all() {
    unpacked=$1
    shift
    index=0
    for name; do
        if [ "$into" = 1 ]; then target=$directory$name; else target=$destination; fi
        place "$unpacked/$index" "$target"
        index=$((index + 1))
    done
}
