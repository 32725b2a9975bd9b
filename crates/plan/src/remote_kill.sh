exec 3<&0 </dev/null 4>&2 2>/dev/null
trap : SIGNAL
{ exec 4>&-; cat <&3
trap "" SIGNAL; kill -SIGNAL 0
for second in 1 2 3 4 5; do sleep 1; done
kill -KILL 0; } >/dev/null 2>&1 &
watcher=$!
(exec "${SHELL:-sh}" -c "$1" 2>&4 3<&- 4>&-)
status=$?
kill -KILL "$watcher"
exit "$status"
