#!/bin/bash
# First process of the guest kernel. The root file system is the host's own /, read-only; the kernel
# parameters $labdir and $labdisks name the host folder that carries the script in and the results
# out, and the number of images. A fork costs about 20 ms in user-mode Linux, so there are few of
# them.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb LANG=C.UTF-8 MDADM_NO_UDEV=1
LAB=/run/lab OUT=/run/lab/out TTY=/dev/ttyS0 PROJECT=/run/project
export LAB OUT TTY PROJECT

finish() { # STATUS: leave the exit status for the host, wait until the output is out, switch off
  stty -F $TTY raw
  echo "$1" >$LAB/status
  sync -f $LAB/status
  perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)' # reboot(LINUX_REBOOT_CMD_POWER_OFF)
  sleep 60
}

# For scripts: stop the kernel at once, with nothing written back, like a power cut. The run returns
# STATUS.
crash() {
  stty -F $TTY raw
  echo "${1:-0}" >$LAB/status
  sync -f $LAB/status
  echo c >/proc/sysrq-trigger
  sleep 60
}
export -f crash

# For scripts: wait until the array in $1 (md0) has no resync, recovery, check or repair to do.
wait_idle() {
  local md=/sys/block/${1:-md0}/md idle=0
  while ((idle < 2)); do
    if [ "$(<"$md/sync_action")" = idle ]; then idle=$((idle + 1)); else idle=0; fi
    sleep 0.1
  done
}
export -f wait_idle

mount -a -T "$labdir/fstab"
echo lab >/proc/sys/kernel/hostname
cd "/usr/lib/uml/modules/$(</proc/sys/kernel/osrelease)/kernel" || finish 125
perl -e 'for (@ARGV) { open(my $f, "<", $_) or die "$_: $!\n"; my $none = "";
  syscall(313, fileno($f), $none, 0) == 0 or die "$_: $!\n" }' \
  $(<$LAB/modules) || finish 125 # finit_module
DISKS=
for ((i = 0; i < labdisks; i++)); do
  printf -v letter "\\$(printf %o $((97 + i)))"
  DISKS+="/dev/ubd$letter "
done
export DISKS
stty -F $TTY raw -echo
cd /run || finish 125
setsid bash $LAB/script </dev/null >$TTY 2>&1
finish $?
