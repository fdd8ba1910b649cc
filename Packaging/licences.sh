#!/bin/sh
# The licences of what is linked in, and of the copies within, to a folder: sh licences.sh FOLDER. Run from the root of the repository, after a build.
set -eu
mkdir -p "$1"
for file in .build/checkouts/*/LICENSE* .build/checkouts/*/NOTICE* .build/checkouts/*/Sources/*/LICENSE*; do
  [ -f "$file" ] || continue
  parts=${file#.build/checkouts/}
  cp "$file" "$1/$(echo "$parts" | sed 's,/Sources/,-,; s,/,-,g')"
done
swift=$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")
cp "$swift/share/swift/LICENSE.txt" "$1/swift-LICENSE.txt"
# Inside of what is linked in: BoringSSL, whose files say it each, and ICU, by Debian's copy.
python3 -B "$(dirname "$0")/notices.py" .build/checkouts/swift-nio-ssl/Sources/CNIOBoringSSL > "$1/boringssl-NOTICES"
cp /usr/share/doc/libicu72/copyright "$1/icu-LICENSE"
