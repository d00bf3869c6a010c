#!/bin/bash
# Goal: a script that is called wrongly says how it is called, at once: it builds and measures nothing.
# Method: each of those that take options, with one that there is not.
set -u
. "$(dirname "$0")/lib.sh"

# refuses SCRIPT ARGS...: with status 1 or 2 and a text, soon.
refuses()
{
    local said status
    said=$(timeout 20 "script/$1" "${@:2}" </dev/null 2>&1)
    status=$?
    if { [ $status -ne 1 ] && [ $status -ne 2 ]; } || [ -z "$said" ]; then
        complain "script/$*: status $status, says '${said:0:200}'"
    fi
}

for script in bench demo fuzz mongodb-servers model pictures scale soak test; do
    refuses $script --no-such-option
done
refuses bench --only nothing-like-it
refuses bench --only
refuses fuzz nothing-like-it
refuses model nothing-like-it
finish
