#!/bin/bash
# Goal: dependencies point inward, so that the protocol runs in a simulator without a database, an
# event loop or a terminal, and each of these can be replaced in one place.
# Method: the compiler lists every header a pure module reads, through whatever other header; for
# the rest, who includes what is read from the sources.
set -u
. "$(dirname "$0")/lib.sh"

# Pure modules: they decide and never do.
pure=(node/core node/ledger node/lifecycle node/holds node/burial datastore/steps datastore/procfs
      proto/frame observer/model observer/view)
foreign='/(event2/|event\.h|evhttp|mongoc|sqlite3|n?curses)'

read -r -a flags <<<"-std=gnu17 -I. -DSTINT_VERSION=\"x\" $(pkg-config --cflags libbson-1.0)"

headers_read_by()
{
    "${CC:-cc}" "${flags[@]}" -M "$1" | tr -s ' \\' '\n\n' | grep -v '^$'
}

checked=0
for module in "${pure[@]}"; do
    for source in "$module"*.c; do
        [ -e "$source" ] || continue
        checked=$((checked + 1))
        headers=$(headers_read_by "$source")
        # A file always reads itself: an empty list means that the compiler failed.
        [ -n "$headers" ] || complain "$source: the compiler cannot list its headers"
        complain_lines "$source is pure and must not read this header" \
            < <(grep -E "$foreign" <<<"$headers")
    done
done
printf '%d pure modules checked\n' "$checked"

# only_in PLACE INCLUDED FOLDERS...: INCLUDED (a pattern) may stand only in files matching PLACE.
only_in()
{
    local place=$1 included=$2
    shift 2
    complain_lines "only $place may include this" < <(
        files_in "$@" -- -name '*.[ch]' | grep -vE "^($place)" |
            xargs -r grep -nE "^ *# *include *[<\"]($included)")
}

only_in 'node/loop' 'event2/|event\.h|evhttp' "${product_folders[@]}"
only_in 'datastore/sqlite' 'sqlite3' "${product_folders[@]}"
only_in 'datastore/mongo' 'mongoc' "${product_folders[@]}"
only_in 'observer/term\.c' 'n?curses' "${product_folders[@]}"
only_in 'proto/frame' 'zlib' "${product_folders[@]}"
only_in 'proto/codec' '.*pb-c\.h|protobuf-c' "${product_folders[@]}"

# From the inside out: datastore, proto, node, observer, cli.
only_in '(proto|node|observer|client|cli)/' 'proto/' "${product_folders[@]}"
only_in '(node|observer|client|cli)/' 'node/' "${product_folders[@]}"
only_in '(observer|cli)/' 'observer/' "${product_folders[@]}"
only_in 'cli/' 'cli/' "${product_folders[@]}"

finish
