#!/bin/bash
# store: sqlite only: a recording is looked at, and no store
# Goal: what the observer writes to a terminal looks on it as it did when somebody looked at it and
# found it good: with 24 bits of colour, 256, 16, 8 and none, with UTF-8 and without, from 80x24 to
# 300x100, after a change of size, and by mouse.
# Method: casts/NAME.cast is in the manner of asciinema's (version 2): a header, then events, "i" what
# is typed, "r" a new size, "m" a screen to be looked at. It is typed to the real program in a terminal
# of tmux, which replays casts/run.stint (made by script/pictures), so that nothing depends on a clock;
# the times of events count for people only. Each screen is to become the one in casts/NAME.screens
# (helpers/looks.c has its form), however long that takes. STINT_GOLDEN=write writes what is shown:
# look at it before it is kept. CASTS: names, where not all of them are to run.
. "$(dirname "$0")/lib.sh"
casts=$here/casts
command -v tic >/dev/null || skip "tic is not there"
mkdir -p "$WORK/terminfo"
tic -x -o "$WORK/terminfo" "$casts/terms.ti" || fail "tic"

# header FIELD: of the cast's first line.
header()
{
    sed -n "1s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$cast"
}

# The screen, in the form in which it is kept.
looks()
{
    in_terminal capture-pane -p -e -N | "$HELPERS/helper_looks"
}

is_as_kept()
{
    looks >"$WORK/shown" && cmp -s "$WORK/shown" "$WORK/kept"
}

# It has been the same for some time; longer at first, when it says that all was read.
still=8
is_still()
{
    looks >"$WORK/kept"
    sleep "$still"
    is_as_kept
}

# screen_check LABEL
screen_check()
{
    if [ "${STINT_GOLDEN:-}" = write ]; then
        wait_until 100 is_still
        still=1
        { printf '== %s\n' "$1" && cat "$WORK/kept"; } >>"$casts/$name.screens"
        return
    fi
    awk -v label="== $1" '/^== / { inside = $0 == label; next } inside' \
        "$casts/$name.screens" >"$WORK/kept"
    [ -s "$WORK/kept" ] || fail "$name: no screen '$1' is kept"
    holds_within 100 is_as_kept ||
        fail "$name, $1: $(diff "$WORK/kept" "$WORK/shown" | head -n 20)"
}

# event KIND TEXT
event()
{
    local bytes
    case $1 in
        i)
            bytes=$(printf '%b' "$2" | od -An -v -tx1)
            # shellcheck disable=SC2086 # one argument each
            in_terminal send-keys -H $bytes
            ;;
        r) in_terminal resize-window -x "${2%x*}" -y "${2#*x}" ;;
        m)
            screen_check "$2"
            screens=$((screens + 1))
            ;;
        *) fail "$name: event '$1'" ;;
    esac
}

# play NAME
play()
{
    local name=$1 cast=$casts/$1.cast screens=0 kind text command
    [ "$terminals" -eq 0 ] || terminal_over
    TERM_KIND=$(header TERM) terminal "$(header width)x$(header height)"
    command="env TERMINFO=$WORK/terminfo LC_ALL=$(header LC_ALL) TZ=UTC"
    [ -z "$(header NO_COLOR)" ] || command+=" NO_COLOR=$(header NO_COLOR)"
    still=8
    [ "${STINT_GOLDEN:-}" != write ] || : >"$casts/$name.screens"
    keys "$command $program observe --replay $casts/run.stint" Enter
    shows 'RECORDING, its end|RECORDING'
    while IFS=$'\t' read -r kind text; do
        event "$kind" "$text"
    done < <(sed -n 's/^\[[0-9.]*, *"\([a-z]\)", *"\(.*\)"\]$/\1\t\2/p' "$cast")
    [ "$screens" -gt 0 ] || fail "$name: nothing is looked at"
    keys q
    say "$name: $screens screens"
}

for cast in "$casts"/*.cast; do
    name=$(basename "$cast" .cast)
    [ -n "${CASTS:-}" ] && [[ " $CASTS " != *" $name "* ]] || play "$name"
done
