#!/bin/bash
# Takes the place of ssh: runs its last argument, a command, on the host that its last but one names.
# FACTS
host=${*: -2:1}
command=${!#}
home=$hosts/$host
[ -d "$home" ] || { echo "there is no host $host" >&2; exit 255; }
cd "$home" || exit 255
far='
    if [ -f "../$host.sh" ]; then . "../$host.sh"; fi
    exec sh -c "$command"
'
exec setsid -w env -i PATH="$PATH" HOME="$home" host="$host" command="$command" "$ip" netns exec "$prefix-${host##*.}" sh -c "$far"
