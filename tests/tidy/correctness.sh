#!/bin/bash
# Goal: docs/CORRECTNESS.md, which maps the protocol's models to the program, names nothing that is gone.
# Method: in each row of that table, each `name` must stand in the file that the next `path` of its cell
# names; without one, in the models (first column) or where the store's steps are stated (third).
set -u
. "$(dirname "$0")/lib.sh"

page=docs/CORRECTNESS.md
checked=0

# names_check FILES NAME...: each stands in one of the files as a word of its own.
names_check()
{
    local files=$1 name
    shift
    for name in "$@"; do
        [[ $name =~ ^[A-Za-z_]+$ ]] || continue # a guard, a piece of the model
        checked=$((checked + 1))
        # shellcheck disable=SC2086 # several files
        grep -qwF -e "$name" -- $files || complain "$page: no '$name' in ${files:-any file named}"
    done
}

# cell_check FILES CELL: names that no path follows in the cell are looked for in FILES.
cell_check()
{
    local files=$1 quoted names=()
    while IFS= read -r quoted; do
        if [[ $quoted != */* ]]; then
            names+=("$quoted")
        elif [ -e "$quoted" ]; then
            names_check "$quoted" "${names[@]}"
            names=()
        else
            complain "$page: there is no $quoted"
            names=()
        fi
    done < <(grep -oE '`[^`]+`' <<<"$2" | tr -d '`')
    names_check "$files" "${names[@]}"
}

models=$(echo docs/model/*.pml)
steps='datastore/datastore.h datastore/steps.h datastore/steps.c datastore/job_steps.c'
while IFS='|' read -r _ model _ store node _; do
    cell_check "$models" "$model"
    cell_check "$steps" "$store"
    cell_check /dev/null "$node"
done < <(sed -n '/^### From the models/,/^## /p' "$page" | grep '^| ' | tail -n +2)
printf '%d names checked\n' "$checked"
[ "$checked" -gt 40 ] || complain "$page: its table was not found"

finish
