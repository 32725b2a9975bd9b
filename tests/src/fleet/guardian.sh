# Becomes the sshd of a test fleet, and leaves a guardian behind that ends it. Arguments: SSHD CONFIG LOG MARKER
# DIRECTORY. Standard input: a pipe whose other end the test holds and never writes to.
#
# The guardian waits for the end of that pipe, which comes when the fleet is dropped and just as well when the test is
# killed with SIGKILL. It then ends the server, its sessions and what they started, removes the directory, and closes
# standard output, which tells the test, if there still is one, that nothing is left.
#
# The guardian is the background part and sshd the foreground: a shell starts its background commands with SIGINT and
# SIGQUIT ignored, and every command of every session would inherit that from sshd.
sshd=$1 config=$2 log=$3 marker=$4 directory=$5
exec 3<&0

end_fleet() {
    read -r self _ </proc/self/stat
    # Stopped first, so that nothing new can start while its descendants are listed.
    kill -STOP "$server" && kill -KILL $(descendants "$server") "$server"
    # What the sessions started has the marker in its environment, wherever it was reparented to.
    tries=0
    while pids=$(marked) && [ -n "$pids" ] && [ $tries -lt 100 ]; do
        kill -KILL $pids
        tries=$((tries + 1))
    done
    rm -rf "$directory"
}

descendants() {
    for child in $(cat "/proc/$1/task/$1/children"); do
        [ "$child" = "$self" ] && continue
        descendants "$child"
        echo "$child"
    done
}

marked() {
    grep -lzxF "PHALANX_FLEET=$marker" /proc/[0-9]*/environ | tr -dc '0-9\n'
}

# $$ is the pid of the main shell, which is about to become sshd; `while` because a read may be interrupted.
server=$$
# The guardian is deaf to SIGHUP: when the test ends while the server is stopped, their process group becomes an
# orphaned one with a stopped member, to which the kernel sends SIGHUP and SIGCONT.
(
    trap '' HUP TERM
    while read -r _; do :; done
    end_fleet
) <&3 2>/dev/null &

exec "$sshd" -D -e -f "$config" </dev/null >/dev/null 2>"$log" 3<&-
