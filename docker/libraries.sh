#!/bin/sh
# libraries.sh PROGRAM…: the Debian packages whose libraries the programs need, one a line.
set -eu
ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r library; do
    # Packages know a file under /usr/lib or, from before the two were merged, under /lib.
    real=$(readlink -f "$library")
    dpkg-query -S "$real" 2>/dev/null || dpkg-query -S "${real#/usr}" || { echo "no package has $library" >&2; exit 1; }
done | cut -d : -f 1 | sort -u
