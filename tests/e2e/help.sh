#!/bin/bash
# Goal: every command explains itself, with an example, and docs/COMMANDS.md says the same.
# Method: the commands that `stint --help` lists; the text of each --help must stand in the page.
# store: sqlite only: no store is used
. "$(dirname "$0")/lib.sh"
page=$(cat "$here/../../docs/COMMANDS.md")
expect_status 0 stint --help
sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p' "$WORK/out" >"$WORK/commands"
[ "$(wc -l <"$WORK/commands")" -ge 19 ] || fail "only $(wc -l <"$WORK/commands") commands listed"
while read -r command; do
    expect_status 0 stint $command --help
    grep -qi 'example' "$WORK/out" || fail "stint $command --help: no example"
    [[ $page == *"$(cat "$WORK/out")"* ]] ||
        fail "docs/COMMANDS.md has another text for stint $command --help: run script/commands"
done <"$WORK/commands"
expect_status 0 stint --version
