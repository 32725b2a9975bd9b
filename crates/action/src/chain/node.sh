# The far end of a chain: stores the stream that comes to it over TCP, passes it on to another host when told to, and
# puts what is in it into place when all of it has come and its checksum is that which the near end tells it. Comes
# after install.sh. The lines before that set: mark (begins every line said), position (of the host in the chain), token
# (begins every connection), netcat, port, client_timeout, into, destination, "$@" (names). POSIX sh, netcat, tar, dd, od,
# sha256sum or shasum.
#
# Everything it does at the same time is a job in the background, which works on files in the private directory:
#
#   alive        it goes on; without that file every job ends
#   stream       what has come
#   complete     that is all of it
#   total        its checksum; unsummed: there is none yet, because somebody was killed
#   sending.N    the Nth attempt to pass it on goes on
#   *.pid        whom to kill, or 0
#
# It hears on stdin:  connect N ADDRESS PORT OFFSET    pass the stream on, from that byte on; instead of before
#                     again ROUND                      give up that round, and listen again
#                     end LENGTH SUM                   that was all
#                     release                          nobody needs it any more
# and says on stdout: listening ROUND PORT HAVE    taking ROUND    have HAVE    over N STATUS WHY    complete
#                     placed LENGTH SUM            failed WHY
trap '' PIPE
start=$PWD
# Where the near end listens. What lives long must not hold it open: the connection would not end before it.
exec 3>&1

say() {
    printf '%s %s\n' "$mark" "$*" >&3 2>/dev/null
}

# In a job in the background this ends that job and stops the others; the near end is told, and ends the rest.
fail() {
    one_line "$*"
    say "failed $line"
    [ -z "$temporary" ] || rm -f "$temporary/alive"
    exit 1
}

pause() {
    sleep 0.1 2>/dev/null || sleep 1
}

# Writes the id of a process, or 0, into the file $1. Over what is there, so that it can be done on a full disk.
note() {
    echo "$2          " 1<>"$1"
}

# Kills the process whose id is in the file $1.
end() {
    if [ -f "$1" ] && read -r pid <"$1" && [ "$pid" -ne 0 ]; then
        note "$1" 0
        kill -9 "$pid" 2>/dev/null
    fi
}

cleanup() {
    trap '' HUP INT TERM
    [ -n "$temporary" ] || return 0
    cd "$temporary" 2>/dev/null || return 0
    rm -f alive sending.*
    # It has ended.
    [ ! -e placed ] || note finisher.pid 0
    for job in *.pid; do
        end "$job"
    done
    cd /
    # A job that is just ending may write once more.
    remove 2>/dev/null
    [ ! -d "$temporary" ] || { pause; remove; }
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# Sets $have to the length of what has come. Not by wc, some of which read all of it.
measure() {
    set -- $(ls -ln stream 2>/dev/null)
    have=${5:-0}
}

find_netcat() {
    wanted=${netcat:-netcat}
    if [ -z "$netcat" ]; then
        for netcat in nc nc.traditional nc.openbsd ncat "busybox nc"; do
            ! command -v "${netcat%% *}" >/dev/null || break
        done
    fi
    command -v "${netcat%% *}" >/dev/null || fail "there is no $wanted on that host, and a chain needs one: install netcat-traditional, netcat-openbsd or ncat"
    # To look a number up in DNS takes long where that does not answer.
    silent=
    number=-n
    case $($netcat -h </dev/null 2>&1) in
    *"not found"*) fail "there is no $wanted on that host, and its busybox has none: install netcat-traditional, netcat-openbsd or ncat" ;;
    *OpenBSD* | *"[-46"*)
        listen="-n -d -v -l"
        connect="-N -w $client_timeout"
        ;;
    *Ncat*)
        listen="-n --recv-only -v -l"
        connect="--send-only -w $client_timeout"
        ;;
    *BusyBox*)
        listen="-l -p"
        connect="-w $client_timeout"
        silent=1
        number=
        ;;
    *)
        listen="-n -v -l -p"
        connect="-q 0 -w $client_timeout"
        ;;
    esac
}

# Below the ports that systems choose for connections.
choose_port() {
    set -- $(od -An -N2 -tu2 /dev/urandom)
    chosen=${port:-$((20000 + $1 % 12000))}
}

# Whether the netcat $! listens: it says so, or it lives and is of the kind that says nothing.
is_listening() {
    looks=0
    while kill -0 $! 2>/dev/null && [ $looks -lt 100 ]; do
        case $(cat listener.log) in
        *istening*) return 0 ;;
        *"in use"* | *retrying*) break ;;
        esac
        [ -z "$silent" ] || [ $looks -lt 3 ] || return 0
        looks=$((looks + 1))
        pause
    done
    kill -9 $! 2>/dev/null
    return 1
}

# Lets one connection through. Its stdin never ends: some netcats end with it, others tell the sender that they have.
listen() {
    tries=0
    while [ -e alive ]; do
        tries=$((tries + 1))
        [ $tries -le 20 ] || fail "it cannot listen: $(head -n 1 listener.log)"
        choose_port
        : >listener.log
        $netcat $listen "$chosen" <&8 2>listener.log 3>&- &
        note listener.pid $!
        # Whoever cleans up takes `alive` away first, and then kills.
        [ -e alive ] || kill -9 $!
        if is_listening; then
            say "listening $round $chosen $have"
            wait $!
            note listener.pid 0
            return
        fi
        wait $! 2>/dev/null
        pause
    done
}

# Adds what comes to the stream, if it begins with the words of this run and of exactly this place in the stream.
take() {
    words=$(dd bs=1 count=64 2>/dev/null)
    if [ "$words" != "phalanx-chain $token $(printf %016d "$have")" ]; then
        end listener.pid
        return
    fi
    say "taking $round"
    why=$(cat 2>&1 >>stream) || {
        end listener.pid
        case $why in
        *"No space left"* | *"quota exceeded"*) fail "cannot store it: the disk is full there, or a quota is used up" ;;
        *) fail "cannot store it: $why" ;;
        esac
    }
}

receive() {
    mkfifo hold && exec 8<>hold || fail "it cannot make a pipe in $temporary"
    round=0
    while [ -e alive ] && [ ! -e complete ]; do
        round=$((round + 1))
        echo $round >round
        measure
        listen | take
    done
}

# Writes the stream from byte $1 on, as it comes, to its end; as long as the file $2 is there.
follow() {
    exec 4<stream
    tail -c "+$(($1 + 1))" <&4 || return
    while [ -e "$2" ]; do
        done=
        [ ! -e complete ] || done=1
        cat <&4 || return
        [ -z "$done" ] || return 0
        pause
    done
}

# The Nth attempt ($1) to pass the stream on to the host $2, port $3, from byte $4 on.
forward() {
    {
        printf 'phalanx-chain %s %016d\n' "$token" "$4"
        follow "$4" "sending.$1"
    } | {
        exec 7<&0
        case $2 in
        *[!0-9.]*) number= ;;
        esac
        $netcat $number $connect "$2" "$3" <&7 >/dev/null 2>"sender.$1.log" 3>&- &
        note "sender.$1.pid" $!
        [ -e "sending.$1" ] || kill -9 $!
        # Nobody else may read from that pipe, or its writer would not notice that netcat has ended.
        exec 7<&- </dev/null
        wait $!
        status=$?
        rm -f "sending.$1" "sender.$1.pid"
        say "over $1 $status $(head -n 1 "sender.$1.log" 2>/dev/null)"
        rm -f "sender.$1.log"
    }
}

stop_forwarding() {
    rm -f sending.*
    for job in sender.*.pid; do
        end "$job"
    done
}

# $1 bytes have been sent, with the checksum $2: waits for them, looks whether they are what was sent, and puts what
# is in them into place.
finish() {
    length=$1
    wanted=$2
    shift 2
    while measure && [ "$have" -lt "$length" ]; do
        [ -e alive ] || exit 1
        pause
    done
    [ "$have" -eq "$length" ] || fail "$have bytes have come, and $length were sent"
    : >complete
    end listener.pid
    say complete
    until [ -e total ]; do
        [ -e alive ] || exit 1
        if [ -e unsummed ]; then
            $sum <stream 1<>total.new && mv total.new total || fail "its checksum cannot be computed there"
        else
            pause
        fi
    done
    read -r total rest <total
    [ "$total" = "$wanted" ] || fail "its checksum differs from ours: what has come is not what was sent, or a source was changed meanwhile"
    mkdir unpacked
    why=$(
        tar -xopf stream -C unpacked 2>&1 >/dev/null 3>&- &
        note unpacker.pid $!
        wait $!
    )
    status=$?
    note unpacker.pid 0
    [ -e alive ] || exit 1
    [ $status -eq 0 ] || fail_to_unpack $status "$why"
    check_end unpacked
    place_all "$temporary/unpacked" "$@"
    : >placed
    say "placed $length $total"
}

# What is waited for must not be killed unnoticed.
supervise() {
    finish "$@" &
    note finisher.pid $!
    wait $!
    [ -e placed ] || [ ! -e alive ] || fail "what checks and unpacks it was killed there"
}

# The checksum, while it comes. If that is killed, it is computed in the end.
sum_up() {
    { follow 0 alive | $sum 1<>total.new && [ -e complete ] && mv total.new total; } &
    wait $!
    [ -e total ] || : >unsummed
}

# Tells every second how much has come, and cleans up when the shell has been killed.
watch() {
    while sleep 1 >/dev/null 2>&1 3>&-; do
        kill -0 $$ 2>/dev/null || break
        measure
        say "have $have"
    done
    note watch.pid 0
    cleanup
}

command -v tar >/dev/null || fail "there is no tar on that host: install it"
find_sum
find_netcat
find_destination
case $directory in
/*) ;;
*) directory=$start/$directory ;;
esac
case $destination in
/*) ;;
*) destination=$start/$destination ;;
esac
# Named before it is there: a signal may come between the two.
# And not that of another host, which may see the same directory: home directories are often on a file server.
temporary=$directory.phalanx-chain-$mark-$position
why=$(mkdir -m 700 "$temporary" 2>&1) || {
    temporary=
    fail "cannot write into \`$directory': ${why##*: }"
}
cd "$temporary" || fail "cannot enter $temporary"
for job in listener watch finisher unpacker; do
    note $job.pid 0 || fail "cannot write into \`$directory'"
done
# As long as a checksum is.
printf '%80s\n' '' >total.new && : >alive && : >stream || fail "cannot write into \`$directory'"
# A shell says on stderr that somebody was killed.
watch 2>/dev/null &
note watch.pid $!
receive 2>/dev/null &
sum_up 2>/dev/null &

while read -r what one two three four; do
    case $what in
    connect)
        stop_forwarding
        : >"sending.$one"
        forward "$one" "$two" "$three" "$four" 2>/dev/null &
        ;;
    again)
        read -r round <round
        [ "$round" != "$one" ] || end listener.pid
        ;;
    end)
        supervise "$one" "$two" "$@" 2>/dev/null &
        ;;
    release)
        [ ! -e placed ] || exit 0
        ;;
    esac
done
exit 1
