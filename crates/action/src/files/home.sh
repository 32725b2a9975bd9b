# What every script begins with: messages in one language, and what `~` and a leading dash mean in a path.
LC_ALL=C
export LC_ALL
unset CDPATH
newline='
'

# Leaves in `line` the text $1 without its line breaks and blank lines.
one_line() {
    set -f
    IFS=$newline
    set -- $1
    IFS=' '
    line="$*"
    unset IFS
    set +f
}

# Leaves in `found` what the path $1 means.
expand_home() {
    case $1 in
    "~" | "~/"*) found=$HOME${1#"~"} ;;
    "~"*)
        user=${1#"~"}
        user=${user%%/*}
        case $user in
        *[!A-Za-z0-9._-]*) found=$1 ;;
        *)
            eval "found=~$user"
            found=$found${1#"~$user"}
            ;;
        esac
        ;;
    -*) found=./$1 ;;
    *) found=$1 ;;
    esac
}
