#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the recordings of this folder anew: boots Debian's cloud kernel in QEMU (no KVM needed), runs
# record.c there and takes its files from the console. Needs qemu-system-x86, busybox-static, cpio, kmod,
# xz-utils, gcc with libmnl-dev and libssl-dev; downloads the kernel's package, unpacks it, installs nothing.
#
#   record.sh [linux-image-...-cloud-amd64]
#
# The committed ones are of 6.12.117+deb12. RUN='PROGRAM ARGUMENT...' runs one more program in that kernel
# afterwards, its output goes to standard output (for example the unit test kernel_linux, there on WireGuard
# of the kernel); KEEP=1 leaves the committed files as they are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=${1:-$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*-cloud-amd64\)$/\1/p' | head -1)}
modules='wireguard veth bridge tun nf_tables nft_ct nft_chain_nat nft_masq'

cd "$work"
apt-get download -q "$package" >&2
dpkg -x "$package"_*.deb kernel
version=${package#linux-image-}
depmod -b kernel "$version"

gcc -std=gnu11 -D_GNU_SOURCE -I"$top" -O1 -o record "$here/record.c" \
	"$top"/agent/{desired,interface,rt,wg_kernel}.c "$top"/lib/{addr,buf,crypto,mem,nl,text}.c -lmnl -lcrypto

root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,m,var,etc,usr}
ln -s ../run "$root/var/run"
ln -s ../bin "$root/usr/bin"
ln -s bin "$root/sbin"
ln -s ../bin "$root/usr/sbin"
# A program and the libraries that it asks for.
take() {
	local f l
	f=$(readlink -f "$(command -v "$1")")
	rm -f "$root/bin/$(basename "$1")"
	cp "$f" "$root/bin/$(basename "$1")"
	for l in $(ldd "$f" 2>/dev/null | grep -oE '/[^ ]+'); do
		mkdir -p "$root$(dirname "$l")"
		cp -Ln "$l" "$root$l"
	done
}
cp "$(command -v busybox)" "$root/bin/busybox"
for a in mount insmod cat sleep poweroff grep find ls wc env; do ln -sf busybox "$root/bin/$a"; done
take dash && mv "$root/bin/dash" "$root/bin/sh"
take "$work/record"
for p in ip nft ss; do take "$p"; done
set -- ${RUN-}
[ $# -eq 0 ] || take "$1"
: >"$root/m/order"
for m in $modules; do
	modprobe -S "$version" -d kernel --show-depends "$m" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r ko; do
	case $ko in
	*.xz) xz -dc "$ko" >"$root/m/$(basename "${ko%.xz}")" ;;
	*) cp "$ko" "$root/m/" ;;
	esac
	basename "${ko%.xz}" >>"$root/m/order"
done
cat >"$root/init" <<END
#!/bin/sh
export PATH=/bin HOME=/tmp LD_LIBRARY_PATH=/lib/x86_64-linux-gnu
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
while read m; do insmod /m/\$m; done </m/order
ip link set lo up
cd /tmp && record
for f in *.hex; do echo "FILE \$f"; cat \$f; echo "END"; done
${1:+cd /; ONLY='${ONLY-}' /bin/$(basename "$1") ${*:2}; echo "RUN ended with \$?"}
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >initrd

# Not the machine microvm: on a busy host it hangs at boot, before the first line.
timeout "${TIMEOUT:-120}" qemu-system-x86_64 -accel tcg,thread=multi -M pc -cpu max -smp 1 -m 512 \
	-nodefaults -no-user-config -display none -no-reboot -serial stdio \
	-kernel "$work/kernel/boot/vmlinuz-$version" -initrd initrd </dev/null \
	-append 'console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable' |
	tr -d '\r' >console || true
sed -n '/^FILE /,/^END$/!p' console
grep -q '^FILE set.hex' console || {
	echo 'record: nothing was recorded' >&2
	exit 1
}
[ -n "${KEEP-}" ] || awk -v dir="$here" '/^FILE / { f = dir "/" $2; printf "" >f; next }
	/^END$/ { if (f) close(f); f = ""; next } f { print >f }' console
