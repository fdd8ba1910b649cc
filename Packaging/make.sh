#!/bin/sh
# One tarball and one Debian package of what is built: sh make.sh BUILD MANUAL OUT.
# BUILD holds ftf with the Swift runtime linked in, MANUAL the man pages; run from the root of the repository.
set -eu
build=$1 manual=$2 out=$3
version=$("$build/ftf" --version)
machine=$(dpkg --print-architecture)
name=fastthenfine-$version-linux-$machine
tree=$out/$name
rm -rf "$tree" "$out"/*.tar.gz "$out"/*.deb && mkdir -p "$tree/bin" "$tree/share/fastthenfine" "$tree/share/man/man1" "$tree/lib/systemd/system"

strip -o "$tree/bin/ftf" "$build/ftf"
# For C: where the system looks for libraries, in the package too.
libraries=lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
mkdir -p "$tree/$libraries/pkgconfig" "$tree/include"
strip -o "$tree/$libraries/libftf.so.1" "$build/libftf-c.so"
ln -s libftf.so.1 "$tree/$libraries/libftf.so"
cp Sources/CFastThenFine/include/ftf.h "$tree/include/"
cat > "$tree/$libraries/pkgconfig/ftf.pc" <<END
prefix=\${pcfiledir}/../../..
libdir=\${pcfiledir}/..
includedir=\${prefix}/include

Name: ftf
Description: Finds overhead images by a sentence, a picture or a vector
Version: $version
Libs: -L\${libdir} -lftf
Cflags: -I\${includedir}
END
cp Models/ftf-small.ftf "$tree/share/fastthenfine/"
cp Packaging/ftf.service "$tree/lib/systemd/system/"
for page in "$manual"/*.1; do gzip -9nc "$page" > "$tree/share/man/man1/$(basename "$page" | tr . - | sed 's/-1$/.1/').gz"; done

completions() { mkdir -p "$tree/share/$2" && "$build/ftf" --generate-completion-script "$1" > "$tree/share/$2/$3"; }
completions bash bash-completion/completions ftf
completions zsh zsh/vendor-completions _ftf
completions fish fish/vendor_completions.d ftf.fish

# Ours, and of what is linked in.
documents=$tree/share/doc/fastthenfine
mkdir -p "$documents"
cp README.md CHANGELOG.md "$documents/"
cp LICENSE "$documents/copyright"
cp Models/README.md "$documents/model.md"
sh Packaging/licences.sh "$documents/licences"
tar --sort=name --owner=0 --group=0 --numeric-owner -C "$out" -czf "$out/$name.tar.gz" "$name"

# The packages of the libraries that it is linked with; GDAL and Zstandard it opens where they are.
packages=$(ldd "$tree/bin/ftf" | sed -n 's/^[[:space:]]*\([^ ]*\) => .*/\1/p' | while read -r library; do dpkg-query -S "*/$library"; done \
  | cut -d: -f1 | sort -u | paste -sd, | sed 's/,/, /g')
deb=$out/deb
mkdir -p "$deb/DEBIAN" "$deb/usr" && cp -a "$tree/." "$deb/usr/"
mkdir -p "$deb/etc/default"
printf '%s\n' '# The index that ftf.service serves, and how; see ftf-serve(1).' '#FTF_INDEX=/var/lib/fastthenfine/index' \
  '#FTF_SERVE="--listen 127.0.0.1:8080"' > "$deb/etc/default/ftf"
echo /etc/default/ftf > "$deb/DEBIAN/conffiles"
cat > "$deb/DEBIAN/control" <<END
Package: fastthenfine
Version: $version
Architecture: $machine
Maintainer: The FastThenFine project <fastthenfine@localhost>
Installed-Size: $(du -sk "$deb/usr" | cut -f1)
Depends: $packages
Recommends: libgdal32, libzstd1
Section: science
Priority: optional
Description: find overhead images by sentence or picture
 An index of an archive of overhead images and scenes, searched by a sentence
 or a picture: fast recall, then a fine rerank that says why. On the command
 line, over HTTP and in a browser, on ordinary processors.
END
chmod -R u=rwX,go=rX "$deb"
dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/fastthenfine_${version}_$machine.deb" > /dev/null
rm -rf "$deb" "$tree"
du -h "$out"/*
