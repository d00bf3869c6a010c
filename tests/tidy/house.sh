#!/bin/bash
# Goal: the rules of the house that a machine can check (docs/HACKING.md lists them).
# Method: read the sources; read the symbols of the libraries that this build made.
set -u
. "$(dirname "$0")/lib.sh"

lines_max=800
columns_max=100

# Files that may be longer, and why: "path reason", one a line.
longer_files='
'
# Objects that may change at run time outside a function: "symbol reason", one a line.
mutable_globals='
log_level one level for the whole process, set once by the command line
keeper.c:buffer the keeper process has one thread and one job
keeper.c:keeper likewise: its whole state, too large for a stack
reaper.c:reaping likewise: the reaper process is nothing else
spawn.c:child shared with the child that has our memory until it executes
spawn.c:stack its stack
mongo_driver.c:once the driver is loaded once for the process
mongo_driver the table of its functions, set then
term.c:screen there is one terminal, and signal handlers must find it
'

allowed()
{
    awk -v name="$2" '$1 == name { found = 1 } END { exit !found }' <<<"$1"
}

mapfile -t c_files < <(files_in "${product_folders[@]}" tests bench examples -- -name '*.[ch]')
mapfile -t scripts < <(files_in script tests .ci -- -name '*.sh' -o -path 'script/*' -o -name run)
[ "${#c_files[@]}" -gt 0 ] || complain "no C file found in $STINT_SOURCE"

# grep_all TEXT PATTERN FILES...: a complaint for each line that matches.
grep_all()
{
    local text=$1 pattern=$2
    shift 2
    complain_lines "$text" < <(grep -nHP "$pattern" "$@" </dev/null)
}

grep_all 'banned: it cannot bound its output, or reports no error' \
    '\b(strcpy|strcat|stpcpy|v?sprintf|gets|ato[ifl]|atoll|strtok|s?rand)\s*\(' "${c_files[@]}"
unfinished='\b(TO''DO|FIX''ME|X''XX)\b'
grep_all 'finish it or open an issue' "$unfinished" "${c_files[@]}" "${scripts[@]}"
grep_all 'indent with spaces' '^ *\t' "${c_files[@]}" "${scripts[@]}"
grep_all 'space at the end of the line' '[ \t]+$' "${c_files[@]}" "${scripts[@]}"
grep_all "longer than $columns_max columns" "^.{$((columns_max + 1)),}" "${c_files[@]}"

for file in "${c_files[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le "$lines_max" ] || allowed "$longer_files" "$file" ||
        complain "$file: $lines lines; at most $lines_max"
    [ "$(head -c 2 "$file")" = '/*' ] ||
        complain "$file: does not open with a comment that says what it is for"
done

# Symbols in writable sections. Constant tables of pointers are in .data.rel.ro: not writable.
mutable_symbols()
{
    nm --format=sysv --print-file-name "$STINT_BUILD"/libstint_*.a |
        awk -F'|' '{ gsub(/ /, "") }
            $NF ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && $NF !~ /^\.data\.rel\.ro/ &&
            $4 == "OBJECT" || $4 == "TLS" {
                file = $1; symbol = $1
                sub(/:[^:]*$/, "", file); sub(/.*:/, "", file); sub(/.*:/, "", symbol)
                print file, symbol
            }'
}

# The sanitizers add variables of their own; the ordinary builds show ours.
if [ -z "${STINT_SANITIZE:-}" ]; then
    while read -r file symbol; do
        symbol=${symbol%.[0-9]*} # statics inside functions are numbered
        allowed "$mutable_globals" "$symbol" ||
            allowed "$mutable_globals" "${file%.o}:$symbol" ||
            complain "$file: mutable global '$symbol'"
    done < <(mutable_symbols)
fi

# The MongoDB driver is loaded when it is needed (datastore/mongo_driver.h): linked, it would make each
# start of the program several times as long.
complain_lines "the program must not be linked with the driver" \
    < <(readelf --dynamic "$STINT_BUILD/stint" | grep 'NEEDED.*mongoc')

finish
