#!/bin/bash
# Runs a guest kernel and lets nothing of it survive: a killed user-mode Linux leaves guest
# processes behind, which go on as host processes. It makes itself the leader of a process group, so
# that whole group is killed.
#   supervise.sh SECONDS LABDIR COMMAND [ARGUMENT...]
# That happens when the command ends, when SECONDS are over (LABDIR/timeout appears), and when
# standard input ends because the caller died (LABDIR is removed). The caller makes this script a
# group leader too.
limit=$1 labdir=$2
shift 2
exec 4<&0 </dev/null
"$@" 4<&- &
guest=$!
kill_all() {
  kill -KILL -- "-$guest" 2>/dev/null
  kill -KILL 0 # our own group: the watcher, and the guest if it has no group of its own yet
}
(
  read -r -t "$limit" -u 4 _
  if (($? > 128)); then : >"$labdir/timeout"; else rm -rf "$labdir"; fi
  kill_all
) &
wait "$guest"
kill_all
