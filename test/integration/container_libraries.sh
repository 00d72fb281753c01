#!/usr/bin/env bash
# Whether the container installs the package of every shared library that kvroute is linked to.
#   container_libraries.sh KVROUTE DOCKERFILE
set -euo pipefail
binary=$1 dockerfile=$2
status=0 seen=0
for library in $(objdump -p "$binary" | awk '/NEEDED/ { print $2 }'); do
  path=$(ldconfig -p | awk -v name="$library" '$1 == name && !found { print $NF; found = 1 }')
  package=$(dpkg-query -S "$(readlink -f "${path:-/}")" 2> /dev/null | head -1 | cut -d: -f1) || true
  case $package in
    lib*) ;;
    *) continue ;;  # no package of Debian's: the toolchain's own
  esac
  # Of the image; or what libgrpc++1.51 and libspdlog1.10 bring along.
  case $package in libc6 | libstdc++6 | libgcc-s1 | libgrpc29 | libc-ares2 | libre2-9 | libfmt9) continue ;; esac
  seen=$((seen + 1))
  grep -qE "(^|[[:space:]])${package//+/\\+}([[:space:]]|\$)" "$dockerfile" || { echo "$dockerfile does not install $package ($library)"; status=1; }
done
[ "$seen" -gt 5 ] || { echo "$binary has only $seen libraries of packages"; status=1; }
exit "$status"
