#!/usr/bin/env bash
# Archives of the binaries that were built, and the krew manifest with their checksums.
#
#   deploy/krew/release.sh VERSION URL TARGET OUT
#
# TARGET is cargo's target folder, with a release build of each platform (--target TRIPLE).
# URL is where the archives will be downloaded from. The same binaries give the same archives.
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
version=$1 url=${2%/} target=$3 out=$4
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "not a version: $version" >&2; exit 2; }
[[ $url =~ ^https://[^[:space:]\|\&\\]+$ ]] || { echo "URL must begin with https://: $url" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/zonespread-v*.tar.gz "$out/zonespread.yaml"

checksums=()
while read -r platform triple; do
	binary=$target/$triple/release/zonespread
	[ -f "$binary" ] || { echo "left out: $platform ($binary is not there)" >&2; continue; }
	install -m 755 "$binary" "$work/kubectl-zonespread"
	install -m 644 "$here/../../LICENSE" "$work/LICENSE"
	archive=$out/zonespread-v$version-$platform.tar.gz
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=ustar \
		-C "$work" -cf - LICENSE kubectl-zonespread | gzip -n >"$archive"
	checksums+=("$platform=$(sha256sum "$archive" | cut -d' ' -f1)")
done <<'PLATFORMS'
linux-amd64 x86_64-unknown-linux-musl
linux-arm64 aarch64-unknown-linux-musl
darwin-amd64 x86_64-apple-darwin
darwin-arm64 aarch64-apple-darwin
PLATFORMS
[ ${#checksums[@]} -gt 0 ] || { echo "nothing was built: cargo build --release --locked --target TRIPLE" >&2; exit 1; }

# A platform is the lines from its selector to the next one.
awk -v version="$version" -v url="$url" -v checksums="${checksums[*]}" '
	BEGIN { for (n = split(checksums, all, " "); n > 0; n--) { split(all[n], one, "="); sum[one[1]] = one[2] } }
	function flush() { if (block != "" && known) printf "%s", block; block = ""; known = 0 }
	/^#/ { next }
	{ gsub(/VERSION/, version); gsub(/URL\//, url "/") }
	/^  - selector:/ { flush(); inside = 1 }
	match($0, /SHA256-[a-z0-9-]+/) {
		platform = substr($0, RSTART + 7, RLENGTH - 7)
		known = platform in sum
		sub(/SHA256-[a-z0-9-]+/, sum[platform])
	}
	inside { block = block $0 "\n"; next }
	{ print }
	END { flush() }
' "$here/zonespread.yaml" >"$out/zonespread.yaml"
ls "$out"
