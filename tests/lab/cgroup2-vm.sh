#!/usr/bin/env bash
# cgroup2-vm.sh - run a command on a Linux kernel whose only cgroup hierarchy is the
# unified one (cgroup v2), from a host that has v1 controllers or none at all.
#
#   cgroup2-vm.sh [OPTION...] [--] COMMAND [ARG...]
#
# COMMAND runs inside a throw-away virtual machine that shows this machine's own files
# (read-only, with a scratch overlay) and the current directory (read-write, same path).
# Its stdout and stderr come out separately, and its exit code is this script's own
# (128+N if signal N killed it).  Needs root, Debian or a derivative, and apt.
#
#   --engine qemu    (default) a stock Debian kernel under QEMU software emulation:
#                    controllers cpuset cpu io memory hugetlb pids; landlock, i386 and
#                    x32 ABIs, 2 CPUs.  Boots in some 10 s; code runs 10-20x slower.
#   --engine uml     User-Mode Linux: a kernel as a process, boots in about 1 s; computing
#                    at native speed, forks some 10x slower.  Controllers cpu io memory pids (no cpuset), 1 CPU, no
#                    landlock, no i386.  For the quick lane.  A process inside that touches more
#                    than 256 MiB may stand still: a page is a mapping of the host's, of which
#                    a process has vm.max_map_count.
#   --kernel SUITE   (qemu) whose kernel: "system" (default: what apt offers here) or a
#                    Debian suite: bullseye=5.10, bookworm=6.1, bookworm-backports=6.12,
#                    trixie=6.12, trixie-backports=the newest.  Fetched by apt, once.
#   --user           run COMMAND as an unprivileged user (uid 1000, "lab") that owns its
#                    cgroup (delegated, as systemd's Delegate=yes does)
#   --systemd        boot systemd as pid 1, and run COMMAND in a login session of its (root-owned, in
#                    user-1000.slice beside user@1000.service, as a login by ssh has it; with
#                    --user, else root's own); dbus, logind and the user manager run
#   --root-cgroup    leave COMMAND in the root cgroup (default: /lab.slice/job.scope)
#   --rw DIR         share one more directory read-write (repeatable)
#   --mem MIB        guest memory (default 2048)     --timeout S   give up (default 600, rc 124)
#   --env NAME       pass this variable too (PATH HOME LANG CI and CARGO* RUST* NEXTEST*
#                    SANDBOX* LAB* always go)
#   --append ARG     one more kernel parameter, e.g. syscall.x32=y (Debian leaves x32 off)
#   --disk MIB       (uml) a disk with ext4 at /disk, writable to everybody; LAB_DISK names it
#   --sysctl K=V     set in the guest first, e.g. kernel.unprivileged_userns_clone=0
#   --prepare        only fetch and unpack what is needed      -v  kernel log on stderr
#
# Inside: LAB_CGROUP2=1, LAB_ENGINE and LAB_CGROUP (the delegated cgroup's directory) are
# set.  stdin is /dev/null.  Only loopback networking.  /tmp and /run are fresh tmpfs.
# Status 125: the lab itself failed (its log is printed).
# Files kept between runs: ${LAB_CACHE:-/var/cache/cgroup2-lab} (some 0.5 GiB a kernel).
set -euo pipefail

engine=qemu suite=system user=0 rootcg=0 mem=2048 disk=0 systemd=0 append='' limit=600 prepare=0 verbose=0
rw=("$PWD") passenv=() sysctls=()
die() { echo "cgroup2-vm: $*" >&2; exit 125; }
while [ $# -gt 0 ]; do
  case $1 in
    --engine) engine=$2; shift 2 ;;   --kernel) suite=$2; shift 2 ;;
    --user) user=1; shift ;;          --root-cgroup) rootcg=1; shift ;;
    --rw) rw+=("$(realpath "$2")"); shift 2 ;;
    --mem) mem=$2; shift 2 ;;         --timeout) limit=$2; shift 2 ;;
    --disk) disk=$2; shift 2 ;;       --systemd) systemd=1; shift ;;
    --append) append+=" $2"; shift 2 ;;
    --env) passenv+=("$2"); shift 2 ;; --sysctl) sysctls+=("$2"); shift 2 ;;
    --prepare) prepare=1; shift ;;    -v) verbose=1; shift ;;
    -h|--help) sed -n '2,/^set -e/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    --) shift; break ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
done
[ $prepare = 1 ] || [ $# -gt 0 ] || die "no command (see --help)"
[ "$(id -u)" = 0 ] || die "needs root"
case $engine in qemu|uml) ;; *) die "--engine is qemu or uml" ;; esac
[ "$systemd$rootcg" != 11 ] || die "--systemd and --root-cgroup exclude each other"
[ "$disk" = 0 ] || [ "$engine" = uml ] || die "--disk is for uml"

cache=${LAB_CACHE:-/var/cache/cgroup2-lab}
mkdir -p "$cache"
exec 9>"$cache/lock"; flock 9            # one preparation at a time

# ---- what the host needs ----------------------------------------------------------
need() { # PROGRAM PACKAGE...
  command -v "$1" >/dev/null 2>&1 && return 0
  shift
  apt_install "$@"
}
apt_install() {
  echo "cgroup2-vm: installing $*" >&2
  local o=(-y --no-install-recommends -o DPkg::Lock::Timeout=300)
  DEBIAN_FRONTEND=noninteractive apt-get install "${o[@]}" "$@" >"$cache/apt.log" 2>&1 || {
    apt-get update >>"$cache/apt.log" 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install "${o[@]}" "$@" >>"$cache/apt.log" 2>&1 ||
      { tail -20 "$cache/apt.log" >&2; die "apt could not install $*"; }
  }
}
# apt for one other Debian suite, without touching the machine's own sources
suite_apt() { # SUITE get|cache ARG...
  local s=$1 c=$2 d=$cache/apt-$1 uri; shift 2
  if [ ! -s "$d/ok" ]; then
    # shellcheck disable=SC2016 # for apt to expand
    uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' 2>/dev/null |
          awk '$2=="Debian" && $3=="Debian"{print $1; exit}')
    [ -n "$uri" ] || die "no Debian source in this machine's apt configuration"
    mkdir -p "$d/lists/partial" "$d/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $s main" >"$d/sources.list"
  fi
  local o=(-o "Dir::Etc::SourceList=$d/sources.list" -o Dir::Etc::SourceParts=/dev/null
           -o "Dir::State::Lists=$d/lists" -o "Dir::Cache=$d/cache"
           -o Dir::State::Status=/dev/null -o APT::Sandbox::User=root
           -o APT::Get::List-Cleanup=0 -o Acquire::Languages=none)
  if [ ! -s "$d/ok" ]; then
    apt-get "${o[@]}" update >"$d/log" 2>&1 || { tail -5 "$d/log" >&2; die "apt cannot read suite $s"; }
    echo ok >"$d/ok"
  fi
  "apt-$c" "${o[@]}" "$@"
}
fetch() { # SUITE INTO PACKAGE... : unpack packages without installing them
  local t s=$1 into=$2 d; shift 2; t=$(mktemp -d "$cache/dl.XXXXXX")
  if [ "$s" = system ]; then
    (cd "$t" && { apt-get -o APT::Sandbox::User=root download "$@" >log 2>&1 ||
                  { apt-get update >log 2>&1 && apt-get -o APT::Sandbox::User=root download "$@" >>log 2>&1; }; }) ||
      { tail -5 "$t/log" >&2; die "apt cannot fetch $*"; }
  else
    (cd "$t" && suite_apt "$s" get download "$@" >log 2>&1) || { tail -5 "$t/log" >&2; die "apt cannot fetch $* of $s"; }
  fi
  rm -rf "$into.part"; mkdir -p "$into.part"
  for d in "$t"/*.deb; do dpkg-deb -x "$d" "$into.part"; done
  rm -rf "$t" && mv "$into.part" "$into"
}
need_pkg() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' || apt_install "$1"; }

need cpio cpio
if [ ! -x /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then need_pkg busybox-static; fi
# Without systemd-sysv, so that it becomes nobody's init here.
if [ "$systemd" = 1 ]; then
  for p in systemd dbus libpam-systemd; do need_pkg "$p"; done
fi

if [ "$engine" = qemu ]; then
  need qemu-system-x86_64 qemu-system-x86
  need xz xz-utils; need python3 python3
  kdir=$cache/kernel-$suite
  if [ ! -d "$kdir" ]; then
    if [ "$suite" = system ]; then dep=$(apt-cache depends linux-image-amd64 2>/dev/null || true)
      [ -n "$dep" ] || { apt-get update >/dev/null 2>&1; dep=$(apt-cache depends linux-image-amd64); }
    else suite_apt "$suite" cache policy >/dev/null; dep=$(suite_apt "$suite" cache depends linux-image-amd64); fi
    kpkg=$(awk '/Depends: linux-image-[0-9]/{print $2; exit}' <<<"$dep")
    [ -n "$kpkg" ] || die "no linux-image-amd64 in $suite"
    kpkgs=("$kpkg") v=${kpkg#linux-image-}     # newer kernels come in three packages
    case $suite in system) known=$(apt-cache pkgnames "linux-binary-$v") ;;
                   *) known=$(suite_apt "$suite" cache pkgnames "linux-binary-$v") ;; esac
    [ -z "$known" ] || kpkgs=("linux-binary-$v" "linux-modules-$v" "linux-base-$v")
    fetch "$suite" "$kdir" "${kpkgs[@]}"
    find "$kdir" \( -name '*-dbg*' -o -name 'System.map*' \) -prune -exec rm -rf {} +
  fi
  modroot=$kdir/lib/modules; [ -d "$modroot" ] || modroot=$kdir/usr/lib/modules
  kver=$(ls "$modroot"); kmod=$modroot/$kver
  [ -f "$kmod/modules.dep" ] || { need depmod kmod
    mkdir -p "$kdir/depmod/lib"; ln -sfn "$modroot" "$kdir/depmod/lib/modules"; depmod -b "$kdir/depmod" "$kver"; }
  # the ELF kernel inside the bzImage: QEMU enters it directly (PVH), which skips the
  # BIOS set-up code and the slow emulated decompression
  if [ ! -s "$kdir/vmlinux" ]; then
    python3 - "$(find "$kdir" -name 'vmlinuz*' -type f | head -1)" "$kdir/vmlinux" <<'PY' || true
import lzma, subprocess, sys
d = open(sys.argv[1], 'rb').read()
for magic, how in ((b'\xfd7zXZ\0', 'xz'), (b'\x28\xb5\x2f\xfd', 'zstd')):
    at = -1
    while (at := d.find(magic, at + 1)) >= 0:
        try:
            out = (lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(d[at:]) if how == 'xz' else
                   subprocess.run(['zstd', '-dcq'], input=d[at:], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout)
        except Exception:
            continue
        if out[:4] == b'\x7fELF':
            open(sys.argv[2], 'wb').write(out); sys.exit(0)
sys.exit(1)
PY
  fi
else
  need patchelf patchelf
  kdir=$cache/uml
  if [ ! -d "$kdir" ]; then
    [ -d "$cache/uml-pkg" ] || fetch "${LAB_UML_SUITE:-forky}" "$cache/uml-pkg" user-mode-linux
    mkdir -p "$kdir.part"; cp "$cache/uml-pkg/usr/bin/linux.uml" "$kdir.part/linux"
    # built against a newer libc than this machine may have: give it its own
    [ -d "$cache/uml-libc" ] || fetch "${LAB_UML_SUITE:-forky}" "$cache/uml-libc" libc6
    ld=$(find "$cache/uml-libc" -name ld-linux-x86-64.so.2 -type f | head -1)
    patchelf --set-interpreter "$ld" --set-rpath "$(dirname "$ld")" "$kdir.part/linux"
    mv "$kdir.part" "$kdir"
  fi
  modroot=$(find "$cache/uml-pkg" -type d -path '*/uml/modules' | head -1)
  kver=$(ls "$modroot"); kmod=$modroot/$kver
fi
flock -u 9
[ $prepare = 0 ] || { echo "cgroup2-vm: ready ($engine, kernel $kver)" >&2; exit 0; }

# ---- the initial file system ------------------------------------------------------
tmp=$(mktemp -d /tmp/cgroup2-vm.XXXXXX); chmod 700 "$tmp"
vm=
# shellcheck disable=SC2317 # called by the trap
cleanup() { [ -z "$vm" ] || kill -9 "$vm" 2>/dev/null || :; rm -rf "$tmp"; }
trap cleanup EXIT
trap 'exit 130' INT; trap 'exit 143' TERM
ird=$tmp/ird
mkdir -p "$ird"/{bin,lab/mod,proc,sys,dev,lower,ov,new} "$tmp/out"
cp /bin/busybox "$ird/bin/busybox"

want=(overlay)
if [ "$disk" != 0 ]; then
  want+=(ext4)
  truncate -s "${disk}M" "$tmp/disk"
  mke2fs -q -t ext4 -F "$tmp/disk"
fi
[ "$engine" = uml ] || want=(virtio_pci 9pnet_virtio 9p overlay virtio_console)
python3 - "$kmod" "$ird/lab" "${want[@]}" <<'PY'
import os, shutil, subprocess, sys
kmod, lab, want = sys.argv[1], sys.argv[2], sys.argv[3:]
dep, byname = {}, {}
for line in open(kmod + '/modules.dep'):
    m, d = line.split(':'); dep[m] = d.split()
    byname[os.path.basename(m).split('.ko')[0].replace('-', '_')] = m
order = []
for w in want:
    m = byname.get(w)
    if not m: continue                       # built in
    for x in list(reversed(dep[m])) + [m]:
        if x not in order: order.append(x)
with open(lab + '/modules', 'w') as f:
    for m in order:
        n = os.path.basename(m)
        src, dst = os.path.join(kmod, m), lab + '/mod/' + n
        if n.endswith('.xz'): dst = dst[:-3]; open(dst, 'wb').write(subprocess.check_output(['xz', '-dc', src]))
        elif n.endswith('.zst'): dst = dst[:-4]; open(dst, 'wb').write(subprocess.check_output(['zstd', '-dcq', src]))
        else: shutil.copy(src, dst)
        f.write(os.path.basename(dst) + '\n')
PY

q() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
{
  echo "engine=$engine user=$user rootcg=$rootcg disk=$disk systemd=$systemd"
  echo "kver=$(q "$kver") kmod=$(q "$kmod") out=$(q "$tmp/out") cwd=$(q "$PWD")"
  echo "now=$(date +%s)"
  printf 'sysctls="%s"\n' "${sysctls[*]:-}"
} >"$ird/lab/conf"
printf '%s\n' "${rw[@]}" | awk '!s[$0]++' >"$ird/lab/rw"
{
  while IFS= read -r n; do
    case $n in
      PATH|LANG|LC_*|CI|TERM|CARGO*|RUST*|NEXTEST*|SANDBOX*|LAB_*) ;;
      HOME) [ $user = 0 ] || continue ;;
      *) case " ${passenv[*]:-} " in *" $n "*) ;; *) continue ;; esac ;;
    esac
    echo "export $n=$(q "${!n}")"
  done < <(compgen -e)
  echo "export LAB_CGROUP2=1 LAB_ENGINE=$engine"
  echo "cd $(q "$PWD") || exit 125"
  printf 'exec'; for a in "$@"; do printf ' %s' "$(q "$a")"; done; echo
} >"$ird/lab/cmd"

cat >"$ird/init" <<'GUEST'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev 2>/dev/null
. /lab/conf
bad() { echo "LAB: $*" >/dev/console; $b sync; $b poweroff -f; $b sleep 60; }
while read -r m; do $b insmod /lab/mod/$m || echo "LAB: module $m" >/dev/console; done </lab/modules
p9="trans=virtio,version=9p2000.L,msize=524288"
if [ "$engine" = qemu ]; then
  $b mount -t 9p -o ro,$p9,cache=loose lab0 /lower || bad "cannot mount the host's files"
else
  $b mount -t hostfs -o ro,/ none /lower || bad "cannot mount the host's files"
fi
$b mount -t tmpfs -o mode=755 ov /ov; $b mkdir /ov/u /ov/w
$b mount -t overlay -o lowerdir=/lower,upperdir=/ov/u,workdir=/ov/w root /new || bad "overlay failed"
n=/new
$b mount -t proc -o nosuid,nodev,noexec proc $n/proc
$b mount -t sysfs -o nosuid,nodev,noexec sys $n/sys
$b mount -t devtmpfs -o mode=755 dev $n/dev 2>/dev/null || { $b mount -t tmpfs -o mode=755 dev $n/dev; $b mdev -s; }
$b mkdir -p $n/dev/pts $n/dev/shm $n/sys/fs/cgroup
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts $n/dev/pts
for d in dev/shm tmp; do $b mount -t tmpfs -o mode=1777 tmp $n/$d; done
$b mount -t tmpfs -o mode=755 run $n/run
$b mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $n/sys/fs/cgroup || bad "no cgroup2"
$b mount -t securityfs sec $n/sys/kernel/security 2>/dev/null
# a link, not a mount: a mount below /usr would be locked in a user namespace and so keep
# /usr from being an overlay's lower directory there
$b mkdir -p "$n/lib/modules"; [ -e "$n/lib/modules/$kver" ] || $b ln -s "$kmod" "$n/lib/modules/$kver"
i=1
while read -r d; do
  $b mkdir -p "$n$d"
  if [ "$engine" = qemu ]; then $b mount -t 9p -o $p9,cache=mmap lab$i "$n$d" || bad "cannot share $d"
  else $b mount -t hostfs -o "$d" none "$n$d" || bad "cannot share $d"; fi
  i=$((i+1))
done </lab/rw
$b mkdir -p $n/run/lab/out
if [ "$engine" = qemu ]; then $b mount -t 9p -o $p9 lab$i $n/run/lab/out; else $b mount -t hostfs -o "$out" none $n/run/lab/out; fi
$b cp /lab/conf /lab/cmd /lab/stage2 $n/run/lab/; $b cp $b $n/run/lab/busybox
if [ "$engine" = qemu ]; then             # the ports of stdout and stderr show up a moment later
  t=0
  until [ -e $n/run/lab/stdout ] && [ -e $n/run/lab/stderr ]; do
    for p in /sys/class/virtio-ports/*; do
      [ ! -s $p/name ] || $b ln -sfn /dev/${p##*/} $n/run/lab/$($b cat $p/name)
    done
    [ $((t+=1)) -lt 200 ] || bad "no output ports: $($b ls /sys/class/virtio-ports)"
    $b sleep 0.02
  done
fi
exec $b switch_root $n /run/lab/busybox sh /run/lab/stage2
GUEST
cat >"$ird/lab/stage2" <<'GUEST'
b=/run/lab/busybox; . /run/lab/conf; umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
finish() { echo "$1" >/run/lab/out/rc; $b sync; $b poweroff -f; $b sleep 60; }
$b date -s @$now >/dev/null; $b hostname lab; $b ip link set lo up
ulimit -n 65536 2>/dev/null || :
[ -e /dev/fd ] || { ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr; }
for s in $sysctls; do $b sysctl -q -w "$s"; done
grep -q '^lab:' /etc/passwd || {
  echo 'lab:x:1000:1000::/home/lab:/bin/bash' >>/etc/passwd; echo 'lab:x:1000:' >>/etc/group
  # by number: another name may have it on the host
  grep -q '^1000:' /etc/subuid 2>/dev/null || { echo 1000:100000:65536 >>/etc/subuid; echo 1000:100000:65536 >>/etc/subgid; }
}
if [ "$disk" != 0 ]; then
  [ -e /dev/ubda ] || $b mdev -s
  mkdir -p /disk; $b mount -t ext4 /dev/ubda /disk; chmod 1777 /disk
  export LAB_DISK=/disk
fi
mkdir -p /home/lab; chown 1000:1000 /home/lab
o=/run/lab/stdout e=/run/lab/stderr
if [ "$engine" = uml ]; then o=/dev/tty1 e=/dev/tty2
  for t in $o $e; do $b stty -F $t raw -echo; done; fi
chmod 755 /run/lab; chmod 644 /run/lab/cmd
cut -d' ' -f1 /proc/uptime >/run/lab/out/boot
if [ "$systemd" = 1 ]; then
  # Only what a login needs: nothing of what this machine would start.
  who=root home=/root
  [ "$user" = 0 ] || who=lab home=/home/lab
  mkfifo -m 666 /run/lab/1 /run/lab/2 /run/lab/3
  $b cat </run/lab/1 >$o & $b cat </run/lab/2 >$e &
  ( read -r rc </run/lab/3; $b sleep 0.05; finish "$rc" ) &
  units=/run/systemd/system; mkdir -p $units
  printf '%s\n' 'account required pam_permit.so' 'auth required pam_permit.so' \
    'session required pam_systemd.so class=user type=tty' >/etc/pam.d/lab
  for d in /etc /lib /usr/lib; do rm -rf $d/systemd/system/*.target.wants; done # of the scratch overlay
  printf '%s\n' '[Unit]' 'DefaultDependencies=no' | tee $units/sysinit.target >$units/basic.target
  printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'Requires=dbus.socket lab.service' >$units/lab.target
  printf '%s\n' '[Unit]' 'DefaultDependencies=no' \
    'Requires=dbus.socket systemd-logind.service' 'After=dbus.socket systemd-logind.service' '[Service]' "User=$who" PAMName=lab "WorkingDirectory=$home" \
    "Environment=HOME=$home USER=$who LOGNAME=$who${LAB_DISK:+ LAB_DISK=$LAB_DISK}" StandardInput=null \
    StandardOutput=file:/run/lab/1 StandardError=file:/run/lab/2 LimitNOFILE=65536 \
    "ExecStart=/usr/bin/setsid --wait /bin/bash -c '/bin/bash /run/lab/cmd; echo \$\$? >/run/lab/3'" \
    >$units/lab.service
  for p in /lib/systemd/systemd /usr/lib/systemd/systemd; do
    [ ! -x $p ] || exec $p --system --unit=lab.target --log-target=kmsg
  done
  finish 125
fi
mkdir -p /run/user/1000; chown 1000:1000 /run/user/1000; chmod 700 /run/user/1000
cg=/sys/fs/cgroup
on() { for c in $(cat $1/cgroup.controllers); do echo +$c >$1/cgroup.subtree_control 2>/dev/null; done; }
if [ $rootcg = 0 ]; then
  mkdir -p $cg/lab.slice/job.scope; on $cg; on $cg/lab.slice
  export LAB_CGROUP=$cg/lab.slice/job.scope
else on $cg; export LAB_CGROUP=$cg; fi
if [ $user = 1 ]; then
  if [ $rootcg = 0 ]; then
    chown 1000:1000 $LAB_CGROUP
    for f in $(cat /sys/kernel/cgroup/delegate); do [ ! -e $LAB_CGROUP/$f ] || chown 1000:1000 $LAB_CGROUP/$f; done
  fi
  export HOME=/home/lab USER=lab XDG_RUNTIME_DIR=/run/user/1000
  as="/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --"
else as=; fi
( [ $rootcg = 1 ] || echo 0 >$LAB_CGROUP/cgroup.procs
  exec /usr/bin/setsid $as /bin/bash /run/lab/cmd ) </dev/null >$o 2>$e &
wait $!; rc=$?
$b sleep 0.05
finish $rc
GUEST
chmod +x "$ird/init"
(cd "$ird" && find . -print0 | cpio -0 -o -H newc --quiet) >"$tmp/initrd"

# ---- boot -------------------------------------------------------------------------
log=$tmp/log; : >"$log"
start=$(date +%s.%N)
# the guest's streams come through pipes, so that they append to whatever ours are
mkfifo "$tmp/so" "$tmp/se"
cat <"$tmp/so" & co=$!
cat <"$tmp/se" >&2 & ce=$!
if [ "$engine" = qemu ]; then
  img=$kdir/vmlinux; [ -s "$img" ] || img=$(find "$kdir" -name 'vmlinuz*' -type f | head -1)
  share=() i=0
  add() { share+=(-fsdev "local,id=f$i,path=$1,security_model=none,multidevs=remap$2"
                  -device "virtio-9p-pci,fsdev=f$i,mount_tag=lab$i"); i=$((i+1)); }
  add / ,readonly=on
  while IFS= read -r d; do add "$d" ""; done <"$ird/lab/rw"
  add "$tmp/out" ""
  qemu-system-x86_64 -M pc,hpet=off,vmport=off -accel tcg,thread=multi,tb-size=512 -cpu max \
    -smp "${LAB_CPUS:-2}" -m "$mem" -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$img" -initrd "$tmp/initrd" \
    -append "console=ttyS0 $([ $verbose = 1 ] || echo quiet) panic=-1 edd=off mitigations=off nokaslr no_timer_check tsc=reliable random.trust_cpu=on audit=0 cgroup_no_v1=all$append" \
    -chardev "file,id=log,path=$log" -serial chardev:log \
    -device virtio-serial-pci \
    -chardev "file,id=so,path=$tmp/so,append=on" -device virtserialport,chardev=so,name=stdout \
    -chardev "file,id=se,path=$tmp/se,append=on" -device virtserialport,chardev=se,name=stderr \
    -device virtio-rng-pci "${share[@]}" </dev/null &
else
  [ "$disk" = 0 ] || append+=" ubda=$tmp/disk"
  read -ra more <<<"$append$([ $verbose = 1 ] || echo ' quiet')"
  setarch -R "$kdir/linux" "mem=${mem}M" "initrd=$tmp/initrd" con=null con0=null,fd:8 con1=null,fd:7 con2=null,fd:6 \
    seccomp=auto "${more[@]}" panic=-1 cgroup_no_v1=all "umid=lab$$" "uml_dir=$tmp/" \
    </dev/null 8>>"$log" 7>"$tmp/so" 6>"$tmp/se" >"$tmp/uml.out" 2>&1 &
fi
vm=$!
( sleep "$limit"; kill -0 "$vm" 2>/dev/null && { : >"$tmp/late"; kill -9 "$vm"; } ) >/dev/null 2>&1 &
dog=$!
wait "$vm" 2>/dev/null || :
vm=
# shellcheck disable=SC2016 # for the inner shell to expand
for s in so se; do timeout 1 sh -c ': >"$1"' - "$tmp/$s" 2>/dev/null || :; done   # a reader that never had a writer
wait "$co" "$ce" 2>/dev/null || :
kill "$dog" 2>/dev/null || :
[ $verbose = 0 ] || { cat "$log" >&2; echo "cgroup2-vm: kernel $kver, command started $(cat "$tmp/out/boot" 2>/dev/null) s after boot, $(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN{printf "%.1f", b-a}') s in all" >&2; }
[ ! -e "$tmp/late" ] || { echo "cgroup2-vm: gave up after $limit s" >&2; exit 124; }
[ -s "$tmp/out/rc" ] || { tail -30 "$log" >&2; die "the machine stopped without a result"; }
exit "$(cat "$tmp/out/rc")"
