#!/bin/sh
# Whether the packages work on a Debian without Swift: sh check.sh OUT ROOT, as root. ROOT is made anew, from the mirror that this machine uses.
set -eu
out=$(readlink -f "$1") root=$2
# The unit is shut in as far as a service that reads pictures can be.
if command -v systemd-analyze > /dev/null; then
  systemd-analyze security --offline=yes --threshold=20 "$(dirname "$0")/ftf.service" > /dev/null
fi
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | head -1)
[ -x /usr/sbin/debootstrap ] || { apt-get update -q > /dev/null && apt-get install -y -q debootstrap > /dev/null; }
rm -rf "$root" && mkdir -p "$root/proc"
if ! mount -t proc proc "$root/proc"; then
  echo "NOT CHECKED: this machine lets nobody mount, which a chroot needs" >&2
  exit 0
fi
umount "$root/proc"
/usr/sbin/debootstrap --variant=minbase bookworm "$root" "$mirror" > "$out/debootstrap.log" 2>&1 || { tail -5 "$out/debootstrap.log"; exit 1; }
rm "$out/debootstrap.log"
cp /etc/resolv.conf "$root/etc/" 2>/dev/null || true
cp "$out"/*.deb "$out"/*.tar.gz "$root/tmp/"
rm -f "$root/etc/apt/sources.list"
cp /etc/apt/sources.list.d/* "$root/etc/apt/sources.list.d/"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
# The next version, for an upgrade.
rm -rf "$root/tmp/next" && dpkg-deb -R "$out"/*.deb "$root/tmp/next"
sed -i 's/^Version: .*/&+next/' "$root/tmp/next/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$root/tmp/next" "$root/tmp/next.deb.later" > /dev/null
rm -r "$root/tmp/next"
chroot "$root" sh -eu <<'END'
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
apt-get update -q > /dev/null
apt-get install -y -q --no-install-recommends /tmp/*.deb > /dev/null
! command -v swift
cd /tmp
ftf demo --output drawn > demo.log 2>&1 || { tail -20 demo.log; exit 1; }
test -s drawn/index.html && test -s /usr/share/man/man1/ftf-serve.1.gz
# The service, which says that it is ready.
cat > probe.sh <<'PROBE'
ftf serve drawn/index --listen 127.0.0.1:18080 > serve.log 2>&1 &
process=$!
for i in $(seq 100); do grep -q serving serve.log && break; sleep 0.1; done
exec 3<>/dev/tcp/127.0.0.1/18080
printf 'POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 28\r\nConnection: close\r\n\r\n{"text":"a bridge","top": 3}' >&3
grep -q '"rank":1' <&3 || { cat serve.log; exit 1; }
kill $process && wait $process
PROBE
bash -eu probe.sh
# The library is found; the next version takes its place; what was set stays; removed, and then purged, nothing is left.
ldconfig -p | grep -q 'libftf.so.1 '
dpkg --verify fastthenfine
echo 'FTF_SERVE="--listen 127.0.0.1:8081"' >> /etc/default/ftf
dpkg -i --force-confold next.deb.later > /dev/null 2>&1
ftf --version > /dev/null && grep -q 8081 /etc/default/ftf
mkdir -p /var/lib/fastthenfine
dpkg -r fastthenfine > /dev/null
! command -v ftf && test -e /etc/default/ftf && test -e /var/lib/fastthenfine
dpkg -P fastthenfine > /dev/null
left=$(find / -xdev \( -name '*fastthenfine*' -o -name '*libftf*' -o -path /etc/default/ftf \) -not -path '/tmp/*' -not -path '/proc/*')
test -z "$left" || { echo "left behind: $left"; exit 1; }
# The tarball runs where it was unpacked.
tar -xzf *.tar.gz && cd fastthenfine-*/ && ./bin/ftf search ../drawn/index --text 'a bridge' --top 1 > /dev/null
END
echo "installed and run without Swift"
