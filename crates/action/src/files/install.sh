# Installs what has come, for a put and for a chain: what a destination means on this host, and moving into place by
# renaming. Comes after home.sh. The script that uses it says what `fail` does. The lines before these set: into,
# destination. Only the destination itself may be a link that is followed; below it, links are replaced or refused.
temporary=

remove() {
    [ -n "$temporary" ] || return 0
    rm -rf "$temporary" 2>/dev/null || { chmod -R u+rwx "$temporary"; rm -rf "$temporary"; }
}

# Refuses to replace what stands at $1 unless it is a file, a link to one or to nothing, or not there.
check_replaceable() {
    if [ -d "$1" ] && [ -L "$1" ]; then
        fail "cannot replace \`$1': it is a link to a directory there, and below the destination no link is followed"
    elif [ -d "$1" ]; then
        fail "cannot replace \`$1': it is a directory there"
    elif [ -e "$1" ] && [ ! -f "$1" ]; then
        fail "cannot replace \`$1': it is neither a file nor a directory there"
    fi
}

# Gives $1 to the owner of the file $2, which it is about to replace.
keep_owner() {
    [ -f "$2" ] && [ ! -L "$2" ] && [ ! -O "$2" ] || return 0
    kept=$1
    set -- $(ls -lnd "$2")
    chown "$3:$4" "$kept" 2>/dev/null
    return 0
}

# Moves $1 to $2, which is no directory.
move() {
    check_replaceable "$2"
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        # Not over a file: mv would replace it, or not.
        if [ -e "$2" ] || [ -L "$2" ]; then fail "cannot replace \`$2': it is no directory there"; fi
        if [ ! -w "$1" ]; then
            # To move a directory is to write into it.
            chmod u+w "$1" && mv -f "$1" "$2" && chmod u-w "$2"
        else
            mv -f "$1" "$2"
        fi
    else
        keep_owner "$1" "$2"
        mv -f "$1" "$2"
    fi || fail "cannot move it to \`$2'"
}

# Moves what is in the directory $1 into the directory $2.
merge() {
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
            check_replaceable "$to/${child##*/}"
            keep_owner "$child" "$to/${child##*/}"
            set -- "$@" "$child"
            [ $# -lt 100 ] || { mv -f "$@" "$to/" || return; set --; }
        fi
    done
    [ $# -eq 0 ] || mv -f "$@" "$to/" || return
    rmdir "$from"
}

# Moves $1 to $2; two directories become one. A directory that denies it to its owner is opened meanwhile.
place() {
    if [ ! -d "$1" ] || [ -L "$1" ] || [ ! -d "$2" ] || [ -L "$2" ]; then
        move "$1" "$2"
    elif [ -w "$2" ] && [ -x "$2" ]; then
        merge "$1" "$2" || fail "cannot move files into \`$2'"
    else
        set -- "$1" "$2" "$(ls -ld "$2")"
        chmod u+wx "$2" 2>/dev/null
        merge "$1" "$2"
        set -- "$1" "$2" "$3" $?
        # As it was: the owner's w and x.
        case $3 in ??w*) ;; *) chmod u-w "$2" 2>/dev/null ;; esac
        case $3 in ???[xs]*) ;; *) chmod u-x "$2" 2>/dev/null ;; esac
        [ "$4" = 0 ] || fail "cannot move files into \`$2'"
    fi
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

# Says what it means that tar ended with the status $1 and the complaint $2.
fail_to_unpack() {
    [ -z "$2" ] || printf '%s\n' "$2" >&2
    case $2 in
    # The second is what GNU's tar says of a write that is cut short.
    *"No space left"* | *"Wrote only"* | *"quota exceeded"*) fail "cannot unpack it: the disk is full there, or a quota is used up" ;;
    esac
    why=$2
    while [ "${why#"$newline"}" != "$why" ]; do why=${why#"$newline"}; done
    why=${why%%"$newline"*}
    fail "cannot unpack it: ${why:-tar exited with $1, without a reason}"
}

# Compares what is in $1 with the last entry of the archive: how many entries there are, how many of them cannot be
# overlooked (others are in directories that their owner may not list), how many checksums, and the receipt. A tar that is
# older than long names and links makes other files of them, and says nothing. Where there is no find, it is not counted.
check_end() {
    [ -f "$1/end" ] && read -r entries visible sums receipt <"$1/end" || fail "the stream ended too early"
    command -v find >/dev/null || return 0
    seen=-1
    for some in $(find "$1" -exec sh -c 'echo $#' sh {} + 2>/dev/null); do
        seen=$((seen + some))
    done
    [ "$seen" -ge "$visible" ] && [ "$seen" -le "$entries" ] || fail "of $entries files and directories that were sent, its tar unpacked $seen"
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
