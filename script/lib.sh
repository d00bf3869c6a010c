# What script/demo, script/bench and the end-to-end tests share: reading the program's JSON without
# other tools, and waiting for a condition with a bound. To be sourced by bash.

# json_fields NAME... < LINES: of each line (one JSON object), these fields, a tab between them; an
# empty one where a field is missing or null. Of a string, one last newline goes and the escapes of
# quotes, slashes and tabs are undone; other newlines stay `\n`, so that a line stays a line.
# A quote inside a JSON string is always escaped: so `,"name":` can only be a field.
json_fields()
{
    LC_ALL=C awk -v names="$*" '
        function field(name,   s) {
            if (!match($0, "[{,] *\"" name "\" *: *(\"([^\"\\\\]|\\\\.)*\"|[^],}]*)"))
                return ""
            s = substr($0, RSTART, RLENGTH)
            sub(/^[{,] *"[^"]*" *: */, "", s)
            if (s == "null")
                return ""
            if (s !~ /^"/)
                return s
            s = substr(s, 2, length(s) - 2)
            sub(/\\n$/, "", s)
            gsub(/\\\\/, "\001", s)
            gsub(/\\"/, "\"", s)
            gsub(/\\\//, "/", s)
            gsub(/\\t/, "\t", s)
            gsub(/\001/, "\\", s)
            return s
        }
        BEGIN { n = split(names, name, " ") }
        {
            line = field(name[1])
            for (i = 2; i <= n; i++)
                line = line "\t" field(name[i])
            print line
        }'
}

# now_ms: a clock for spans of time, in ms.
now_ms()
{
    local us=${EPOCHREALTIME/[.,]/}
    printf '%d' $((us / 1000))
}

# holds_within SECONDS COMMAND...: runs it again and again until it succeeds; 1 when it never did.
holds_within()
{
    local until_ms=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until_ms" ] || return 1
        sleep 0.05
    done
}
