# Runs in the guest for judge.ts: what mdadm says of each member, then the array assembled read-
# only, then read-write with its resync, a check, and (WRITES=1) a file system made, filled and
# checked. Results: $OUT.
set -u
md=/sys/block/md0/md
attributes() { # FILE: NAME=VALUE of the running array
  local name value
  for name in level metadata_version raid_disks degraded array_state resync_start; do
    value=$(<"$md/$name") && echo "$name=$value"
  done >"$OUT/$1"
}

index=0
for disk in $DISKS; do
  mdadm --examine "$disk" >"$OUT/examine.$index" 2>&1
  mdadm --examine-bitmap "$disk" >"$OUT/bitmap.$index" 2>&1
  index=$((index + 1))
done

# shellcheck disable=SC2086
if mdadm --assemble --readonly --run /dev/md0 $DISKS 2>&1; then
  attributes readonly
  sha256sum </dev/md0 >"$OUT/sha256.readonly"
  mdadm --stop /dev/md0 2>&1
fi

# shellcheck disable=SC2086
mdadm --assemble --run /dev/md0 $DISKS 2>&1 || { dmesg >"$OUT/dmesg"; exit 1; }
wait_idle
attributes assembled
mdadm --detail /dev/md0 >"$OUT/detail" 2>&1
blockdev --getsize64 /dev/md0 >"$OUT/size"
sha256sum </dev/md0 >"$OUT/sha256"
echo check >$md/sync_action
wait_idle
cat $md/mismatch_cnt >"$OUT/mismatch_cnt"
if [ "$WRITES" = 1 ]; then
  mkdir /run/fs
  {
    mkfs.ext4 -q -F /dev/md0 && mount /dev/md0 /run/fs &&
      head -c 1M /dev/urandom >/run/fs/one && cp /run/fs/one /run/fs/two && umount /run/fs &&
      fsck.ext4 -fn /dev/md0 && mount -o ro /dev/md0 /run/fs &&
      cmp /run/fs/one /run/fs/two && umount /run/fs
  } >"$OUT/filesystem.log" 2>&1
  echo $? >"$OUT/filesystem.status"
  sha256sum </dev/md0 >"$OUT/sha256.written"
fi
mdadm --stop /dev/md0 2>&1
dmesg >"$OUT/dmesg"
