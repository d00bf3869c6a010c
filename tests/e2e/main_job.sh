#!/bin/bash
# Goal: the main job (issue 4): one sha256sum job for each file under /usr/share on three nodes; one
# is stopped and one killed while it runs, a fourth started; every file has exactly one outcome, and
# the outputs equal a plain run.
# Method: script/demo does it and judges; here its verdict is taken, and that it leaves no process.
# store: sqlite only: script/demo makes its store, a file
. "$(dirname "$0")/lib.sh"
"$here/../../script/demo" --program "$program" --folder "$WORK/demo" --files "$(pick 0 5000)" ||
    fail "script/demo ended with $?"
none_marked "$E2E_MARK" || fail "script/demo left a process"

export STINT_STORE=sqlite:$WORK/demo/store.db
files=$(tr -cd '\0' <"$WORK/demo/files" | wc -c)
[ "$files" -ge 5000 ] || fail "only $files files"
[ "$(all_jobs id | sort -u | wc -l)" -eq "$files" ] || fail "not one outcome a file"
[ "$(all_jobs state | sort -u)" = "done" ] || fail "not all are done"
[ "$(node_cause alpha)" = stopped ] || fail "alpha: '$(node_cause alpha)'"
[[ "$(node_cause beta)" == *"buried by "* ]] || fail "beta: '$(node_cause beta)'"
expect_status 0 stint store check
