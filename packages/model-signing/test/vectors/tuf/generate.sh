#!/bin/sh
# Runs the framework's conformance suite against our client (adapter.ts), and its reference in Python against what we publish
# (publish.ts, client.py); writes repositories.json, which the reference made for us (generate.py). Needs Python, faketime and
# a clone of https://github.com/theupdateframework/tuf-conformance:
#   SUITE=/path/to/tuf-conformance sh generate.sh
# Only what they said is kept, in transcript.txt; nothing of the suite is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python"
"$work/python/bin/pip" install -q "$SUITE"

"$root/node_modules/.bin/esbuild" "$here/adapter.ts" --bundle --platform=node --format=esm --conditions=@parapet/source \
  --outfile="$work/adapter.mjs" --log-level=warning
printf '#!/bin/sh\nexec node --disable-warning=ExperimentalWarning "%s" "$@"\n' "$work/adapter.mjs" >"$work/client"
chmod +x "$work/client"
{
  echo "# theupdateframework/tuf-conformance, commit $(git -C "$SUITE" rev-parse --short=12 HEAD), Node $(node --version), no expected failures"
  (cd "$SUITE" && "$work/python/bin/pytest" -v -p no:cacheprovider tuf_conformance --entrypoint "$work/client" 2>/dev/null) |
    grep -E '^tuf_conformance/|^=+ .*(passed|failed)' | sed -E 's/ +\[ *[0-9]+%\]$//; s/ in [0-9.]+s.*=/ =/'
  echo
  echo "# the reference in Python reads what Parapet published"
  mkdir "$work/published"
  (cd "$root" && node --conditions=@parapet/source --import tsx "$here/publish.ts" "$work/published")
  "$work/python/bin/python" "$here/client.py" "$work/published"
} >"$here/transcript.txt"
"$work/python/bin/python" "$here/generate.py" >"$here/repositories.json"
