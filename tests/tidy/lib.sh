# What the tidy tests share: the list of our files, and complaints that are counted.
# An assertion of a tidy test is `complain`; `finish` gives the verdict.

cd "$STINT_SOURCE" || exit 1
complaints=0

complain()
{
    printf '%s\n' "$*"
    complaints=$((complaints + 1))
}

# complain_lines TEXT < LINES: one complaint for each line, each followed by what is wrong with it.
complain_lines()
{
    local line
    while IFS= read -r line; do
        complain "$line  <- $1"
    done
}

finish()
{
    [ "$complaints" -eq 0 ] && exit 0
    printf '%d complaints\n' "$complaints"
    exit 1
}

product_folders=(datastore node cli observer client proto)

# files_in FOLDERS -- FIND-EXPRESSION: of the folders that are there.
files_in()
{
    local folders=()
    while [ "$1" != -- ]; do
        [ -d "$1" ] && folders+=("$1")
        shift
    done
    shift
    [ "${#folders[@]}" -eq 0 ] || find "${folders[@]}" -type f \( "$@" \) | sort
}
