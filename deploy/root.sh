#!/bin/sh
# deploy/root.sh BUILD ROOT -- fills ROOT with all that the container image holds: the programs of the release build,
# the shared libraries they need with the loader, and the container's configuration. Used by the Dockerfile and by
# tests/image.sh, so that what one tries is what the other ships.
set -eu
build=$1 root=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$root/proc" "$root/dev" "$root/sys" "$root/tmp" # where an engine mounts on a read-only root
for part in daemon tool library; do
    DESTDIR=$root cmake --install "$build" --prefix /usr --strip --component $part >/dev/null
done
libraries=$(LD_LIBRARY_PATH=$root/usr/lib ldd "$root/usr/bin/hemid" "$root/usr/bin/hemi" "$root/usr/lib/libhemi.so.0" |
    awk '$2 == "=>" { print $3 } $1 ~ /^\/lib/ { print $1 }' | grep -v '/libhemi\.' | sort -u)
for file in $libraries; do
    install -D "$file" "$root$file"
done
install -D -m 0644 "$here/container.conf" "$root/etc/hemi/hemid.conf"
