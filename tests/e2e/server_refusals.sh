#!/bin/bash
# store: own
# Goal: a server that refuses is told by one line that says what is wrong, with no secret in it; nor
# does a secret stand in the list of processes or in a node's log.
# Method: FerretDB with users, with TLS, and on behalf of a PostgreSQL user who may only read; the wrong
# password, name, host, port and certificate for each.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb
mongodb_need_package openssl openssl >"$WORK/install.log" 2>&1 || skip "no program openssl"
secret=s3cr3t-$RANDOM$RANDOM

mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_user "$WORK/postgres" worker "$secret" || fail "no user worker"
mongodb_user "$WORK/postgres" reader x read || fail "no user reader"
mongodb_certificates "$WORK/certificates" || fail "no certificates"
url=$(mongodb_postgres_url "$WORK/postgres")
mongodb_ferretdb_start "$WORK/open" 0 "$url" || fail "FerretDB does not start"
mongodb_ferretdb_start "$WORK/users" 0 "$url" auth || fail "FerretDB with users does not start"
mongodb_ferretdb_start "$WORK/tls" 0 "$url" "tls=$WORK/certificates" ||
    fail "FerretDB with TLS does not start"
mongodb_ferretdb_start "$WORK/reading" 0 "$(mongodb_postgres_url user=reader "$WORK/postgres")" ||
    fail "FerretDB for a reader does not start"

at() # NAME [USER:PASSWORD@ [OPTIONS]]
{
    printf 'mongodb://%s127.0.0.1:%s/e2e?directConnection=true%s' "${2:-}" "$(<"$WORK/$1/port")" \
        "${3:+&$3}"
}

# no_secret FILE...
no_secret()
{
    ! grep -qF "$secret" "$@" || fail "a secret in $*: $(grep -hF "$secret" "$@" | head -n 3)"
}

# refused STATUS TEXT URI: by what reads, what writes, and a node.
refused()
{
    local command
    export STINT_STORE=$3
    for command in "job list" "submit -- true" "node start --name refused"; do
        began_ms=$(now_ms)
        # shellcheck disable=SC2086 # words
        expect_refusal "$1" timeout 100 "$program" $command
        grep -qi "$2" "$WORK/err" || fail "'$command': not about '$2': $(<"$WORK/err")"
        no_secret "$WORK/err" "$WORK/out"
        [ $(($(now_ms) - began_ms)) -lt 60000 ] || fail "'$command' took $(($(now_ms) - began_ms)) ms"
    done
}

export STINT_STORE
say "as it should be"
STINT_STORE=$(at open)
job=$(submit -- true)
good="tls=true&tlsCAFile=$WORK/certificates/ca.crt&tlsCertificateKeyFile=$WORK/certificates/client.pem"
for STINT_STORE in "$(at users "worker:$secret@")" "$(at tls "" "$good")" "$(at reading)"; do
    expect_status 0 stint job show "$job"
done

say "a wrong password"
refused 3 'authentication failed' "$(at users "worker:wrong$secret@")"
say "no such user"
refused 3 'authentication failed' "$(at users "nobody:$secret@")"
say "none given"
refused 3 'a user and password are needed' "$(at users)"
say "no such host"
refused 3 'resolve\|lookup' "mongodb://worker:$secret@nosuch.invalid:27017/e2e"
say "nobody at that port"
refused 3 'connect' "mongodb://worker:$secret@127.0.0.1:1/e2e?directConnection=true"
say "a server with TLS, asked without"
refused 3 'does it want TLS' "$(at tls "worker:$secret@")"
say "a server without TLS, asked with"
refused 3 TLS "$(at open "worker:$secret@" "$good")"
say "TLS from a CA that this one did not sign"
refused 3 'certificate' "$(at tls "" "${good/ca.crt/other-ca.crt}")"
say "TLS without a certificate of one's own"
refused 3 'does it want a certificate' "$(at tls "" "${good%%&tlsCertificateKeyFile*}")"

say "a user who may only read"
STINT_STORE=$(at reading)
expect_status 0 stint job list
expect_status 0 stint status
for command in "submit -- true" "job cancel $job" "queue pause default" "node start --name refused"; do
    # shellcheck disable=SC2086 # words
    expect_refusal 3 timeout 100 "$program" $command
    grep -qi 'may not write' "$WORK/err" || fail "'$command': $(<"$WORK/err")"
done
STINT_STORE=$(at open)
[ "$(count_jobs)" -eq 1 ] || fail "$(count_jobs) jobs instead of 1"

say "what others see of a node and of a submit that has its URI in a file"
(umask 077 && at users "worker:$secret@" >"$WORK/uri")
export STINT_STORE=@$WORK/uri
start_node one
tr '\0' '\n' <"/proc/${node_pid[one]}/cmdline" >"$WORK/cmdline"
no_secret "$WORK/cmdline" "$WORK/one.log"
job=$(submit --store "@$WORK/uri" -- sh -c 'cat /proc/*/cmdline 2>/dev/null | tr "\0" "\n"; env')
wait_jobs 0 "$job"
expect_status 0 stint job log "$job"
no_secret "$WORK/out"
expect_status 0 stint node list --json
no_secret "$WORK/out"
stop_node one
no_secret "$WORK/one.log"
