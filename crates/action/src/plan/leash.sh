exec 3<&0 </dev/null
trap : SIGNAL
{ cat <&3
trap "" SIGNAL; kill -SIGNAL 0
for second in 1 2 3 4 5; do sleep 1; done
kill -KILL 0; } >/dev/null 2>&1 &
watcher=$!
"${SHELL:-sh}" -c "$1" 3<&-
status=$?
kill -KILL "$watcher" 2>/dev/null
exit "$status"
