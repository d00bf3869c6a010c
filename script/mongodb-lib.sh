# shellcheck shell=bash
# Real servers that speak the MongoDB protocol, on loopback, for tests and benches: to be started,
# ended, killed and started again one by one. To be sourced by bash, as root (see mongodb_install).
#
# Each server is a folder: `pid` (and when that process began), `port`, `log`, `kind`, `options` (with
# what it was started, to start it again) and its data. No process survives `mongodb_end_all`.
# Functions return 1 after a message on stderr; what they print on stdout is said for each.

# shellcheck source=script/mongodb-install.sh
. "$(dirname "${BASH_SOURCE[0]}")/mongodb-install.sh"

mongodb_start_seconds=${MONGODB_START_SECONDS:-60} # a server that does not answer by then has failed

# --- processes --------------------------------------------------------------------------------

# mongodb_began PID: when it began, in ticks of the kernel; nothing if it is not there (any more).
mongodb_began()
{
    local line
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return
    read -r -a line <<<"${line##*) }"
    [ "${line[0]}" != Z ] && printf '%s' "${line[19]}"
}

# mongodb_pid FOLDER: prints the process of this server; 1 when it does not run.
mongodb_pid()
{
    local pid began
    { read -r pid began <"$1/pid"; } 2>/dev/null || return
    [ "$(mongodb_began "$pid")" = "$began" ] && printf '%s' "$pid"
}

# mongodb_running FOLDER
mongodb_running()
{
    mongodb_pid "$1" >/dev/null
}

# mongodb_within SECONDS COMMAND...: runs it until it succeeds; 1 when it never did.
mongodb_within()
{
    local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$until" ] || return 1
        sleep 0.05
    done
}

# mongodb_launch FOLDER COMMAND...: runs it apart from this shell, with FOLDER as its place; it holds
# no file of the caller. To be ended by mongodb_end or mongodb_kill.
mongodb_launch()
{
    local folder=$1
    shift
    rm -f "$folder/pid"
    (exec env -i "${mongodb_plain[@]}" HOME="$folder" setsid bash -c '
        for fd in /proc/$$/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        cd "$1" && read -r stat </proc/$$/stat || exit
        read -r -a stat <<<"${stat##*) }"
        echo "$$ ${stat[19]}" >pid.new && mv pid.new pid && shift && exec "$@"
        ' launch "$folder" "$@" </dev/null >>"$folder/log" 2>&1) &
    disown $!
    mongodb_within 60 [ -e "$folder/pid" ]
}

# mongodb_settled FOLDER COMMAND...: waits until COMMAND succeeds; 1, with the log, when the server
# ended or took too long.
mongodb_settled()
{
    local folder=$1 until=$((SECONDS + mongodb_start_seconds))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! mongodb_running "$folder" || [ "$SECONDS" -ge "$until" ]; then
            tail -n 20 "$folder/log" >&2
            mongodb_say "$folder: does not answer"
            return 1
        fi
        sleep 0.05
    done
    mongodb_running "$folder"
}

# mongodb_free_port FOLDER: prints a port that nobody uses, and writes it into FOLDER/port. It is
# outside of those that the kernel gives away, and nobody else is given it as long as that file is
# there: so it is still free when the server has started at last, or comes back to it.
mongodb_free_port()
{
    local claims=$mongodb_cache/ports claim port hex try
    mkdir -p "$claims" || return
    (
        flock 9
        for claim in "$claims"/[0-9]*; do
            [ ! -e "$claim" ] || [ -e "$(<"$claim")/port" ] || rm -f "$claim"
        done
        for ((try = 0; try < 1000; try++)); do
            port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
            printf -v hex ':%04X' "$port"
            [ ! -e "$claims/$port" ] || continue
            grep -q "^ *[0-9]*: [0-9A-F]*$hex " /proc/net/tcp /proc/net/tcp6 2>/dev/null && continue
            echo "$1" >"$claims/$port" && echo "$port" >"$1/port" && echo "$port"
            exit
        done
        exit 1
    ) 9>"$claims/lock"
}

# mongodb_family PID: it and all its descendants.
mongodb_family()
{
    local child
    echo "$1"
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        mongodb_family "$child"
    done
}

# mongodb_gone PID BEGAN
mongodb_gone()
{
    [ "$(mongodb_began "$1")" != "$2" ]
}

# mongodb_kill FOLDER [SIGNAL]: at once (KILL), as if the machine were lost: the server and all its
# processes; or any other SIGNAL (STOP, CONT) to all of them. With KILL it waits until they are gone.
mongodb_kill()
{
    local folder=$1 signal=${2:-KILL} pid family member
    local -A began=()
    pid=$(mongodb_pid "$folder") || return 0
    family=$(mongodb_family "$pid")
    for member in $family; do
        began[$member]=$(mongodb_began "$member")
    done
    # shellcheck disable=SC2086 # one word for each process
    kill -s "$signal" $family 2>/dev/null
    [ "$signal" = KILL ] || return 0
    for member in $family; do
        [ -z "${began[$member]}" ] || mongodb_within 60 mongodb_gone "$member" "${began[$member]}" ||
            { mongodb_say "$folder: process $member does not end"; return 1; }
    done
}

# mongodb_end FOLDER: ends it in its own way, by force after 20 s.
mongodb_end()
{
    local folder=$1 pid began
    pid=$(mongodb_pid "$folder") || return 0
    began=$(mongodb_began "$pid")
    kill -INT "$pid" 2>/dev/null
    mongodb_within 20 mongodb_gone "$pid" "$began" || mongodb_kill "$folder"
}

# mongodb_servers DIR: prints the folders of the servers in DIR, fronts before what they stand on.
mongodb_servers()
{
    local kind folder
    for kind in ferretdb secantus postgres; do
        for folder in "$1"/*/; do
            folder=${folder%/}
            [ ! -e "$folder/kind" ] || [ "$(<"$folder/kind")" != "$kind" ] || echo "$folder"
        done
    done
}

# mongodb_end_all DIR: ends every server that has its folder in DIR.
mongodb_end_all()
{
    local folder status=0
    while read -r folder; do
        mongodb_end "$folder" || status=1
    done < <(mongodb_servers "$1")
    return "$status"
}

# mongodb_new FOLDER KIND PORT [OPTION...]: makes the folder of a server; PORT 0 takes a free one.
mongodb_new()
{
    local folder=$1 kind=$2 port=$3
    shift 3
    [[ $folder == /* ]] || { mongodb_say "$folder: not an absolute path"; return 1; }
    [ ! -e "$folder/kind" ] || { mongodb_say "$folder: has a server already"; return 1; }
    mkdir -p "$folder" || return
    [ "$port" -ne 0 ] || port=$(mongodb_free_port "$folder") || return
    echo "$port" >"$folder/port" && : >"$folder/options" || return
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$folder/options"
    echo "$kind" >"$folder/kind"
}

# mongodb_start_again FOLDER: the server, of any kind, on its data and its port as they were, and
# with the same options (FOLDER/options, one a line). Returns when it answers.
mongodb_start_again()
{
    local folder=$1 options=()
    ! mongodb_running "$folder" || { mongodb_say "$folder: runs already"; return 1; }
    mapfile -t options <"$folder/options"
    "mongodb_run_$(<"$folder/kind")" "$folder" "$(<"$folder/port")" "${options[@]}"
}

# --- PostgreSQL with DocumentDB ---------------------------------------------------------------

mongodb_run_postgres()
{
    local folder=$1 port=$2 in_root
    shift 2
    mongodb_enter_root "$mongodb_root" postgres "$folder"
    # Of one that was killed (none runs here): its number may be another PostgreSQL's by now.
    rm -f "$folder/data/postmaster.pid"
    mongodb_launch "$folder" "${in_root[@]}" "$mongodb_pg/postgres" -D /srv/data/data -p "$port" \
        "$@" &&
        mongodb_settled "$folder" "${in_root[@]}" "$mongodb_pg/pg_isready" --quiet \
            --host=127.0.0.1 --port="$port" --username=postgres
}

# mongodb_postgres_start FOLDER [OPTION...]: a new PostgreSQL with DocumentDB, durable; OPTIONs are
# settings (`-c fsync=off`). User postgres needs no password. Returns when it answers.
mongodb_postgres_start()
{
    local folder=$1
    shift
    mongodb_new "$folder" postgres 0 "$@" &&
        cp -a --reflink=auto "$mongodb_root/srv/template" "$folder/data" &&
        mongodb_start_again "$folder"
}

# mongodb_sql FOLDER STATEMENT...: each by itself; prints the values of its rows, a line each.
mongodb_sql()
{
    local folder=$1 statement statements=()
    shift
    for statement in "$@"; do
        statements+=(-c "$statement")
    done
    mongodb_in_root "$mongodb_root" postgres "$folder" psql --no-psqlrc --quiet --tuples-only \
        --no-align -v ON_ERROR_STOP=1 --host=127.0.0.1 --port="$(<"$folder/port")" \
        --username=postgres --dbname=postgres "${statements[@]}"
}

# mongodb_standby_start FOLDER PRIMARY: a standby of the server in folder PRIMARY, from a copy of its
# data. From then on PRIMARY confirms a commit when FOLDER has it too.
mongodb_standby_start()
{
    local folder=$1 primary=$2 owner
    owner=$(stat -c %u:%g "$primary/data") && mongodb_new "$folder" postgres 0 &&
        mkdir -m 700 "$folder/data" && chown "$owner" "$folder/data" &&
        mongodb_in_root "$mongodb_root" postgres "$folder" "$mongodb_pg/pg_basebackup" \
            --write-recovery-conf --wal-method=stream --checkpoint=fast --no-sync \
            --pgdata=/srv/data/data --dbname="host=127.0.0.1 port=$(<"$primary/port") user=postgres" &&
        mongodb_start_again "$folder" &&
        mongodb_sql "$primary" "ALTER SYSTEM SET synchronous_standby_names = '*'" \
            "SELECT pg_reload_conf()" >/dev/null &&
        mongodb_within 100 mongodb_synchronous "$primary"
}

# mongodb_synchronous FOLDER: a standby of it has everything, and commits wait for it.
mongodb_synchronous()
{
    [ "$(mongodb_sql "$1" "SELECT count(*) FROM pg_stat_replication
                           WHERE sync_state = 'sync' AND state = 'streaming'")" = 1 ]
}

# mongodb_promote FOLDER: the standby becomes a primary, and waits for no standby of its own (it may
# have copied that setting, and would wait for ever).
mongodb_promote()
{
    mongodb_sql "$1" "SELECT pg_promote(true, 30)" \
        "ALTER SYSTEM RESET synchronous_standby_names" "SELECT pg_reload_conf()" >/dev/null
}

# mongodb_postgres_url [user=NAME] FOLDER...: prints the URL to be given to FerretDB; of several,
# whichever accepts writes. It is this user's rights that decide what can be written through that
# FerretDB, whoever its client is; without NAME everything. `?default_transaction_read_only=on` after
# the URL of one FOLDER makes it refuse writes as a server that is not primary does (NotPrimary).
mongodb_postgres_url()
{
    local folder hosts='' more='' user=postgres
    if [[ $1 == user=* ]]; then
        user=${1#user=}
        shift
    fi
    for folder in "$@"; do
        hosts+=${hosts:+,}127.0.0.1:$(<"$folder/port")
    done
    [ $# -eq 1 ] || more='?target_session_attrs=read-write'
    echo "postgres://$user@$hosts/postgres$more"
}

# mongodb_user FOLDER NAME PASSWORD [read]: makes a user of the databases in the PostgreSQL FOLDER: for
# clients of a FerretDB with `auth`, and for mongodb_postgres_url; with `read`, one that may not write.
mongodb_user()
{
    local roles='{"role":"clusterAdmin","db":"admin"},{"role":"readWriteAnyDatabase","db":"admin"}'
    [ "${4:-}" != read ] || roles='{"role":"readAnyDatabase","db":"admin"}'
    mongodb_sql "$1" "SELECT documentdb_api.create_user(
        '{\"createUser\":\"$2\",\"pwd\":\"$3\",\"roles\":[$roles]}')" >/dev/null
}

# --- what speaks the MongoDB protocol ---------------------------------------------------------

# mongodb_hello: the command {hello: 1} of database admin, as bytes of the protocol (OP_MSG).
mongodb_hello()
{
    printf '\x34\0\0\0\1\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0'
    printf '\x1f\0\0\0\x10hello\0\1\0\0\0\2$db\0\6\0\0\0admin\0\0'
}

# mongodb_answers PORT: whether a server at PORT answers {hello: 1} within 2 s.
mongodb_answers()
{
    # shellcheck disable=SC2016 # expanded by the inner bash
    [ "$(mongodb_hello | timeout 2 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" && cat >&3 && head -c 16 <&3 | wc -c' answers "$1" \
        2>/dev/null)" = 16 ]
}

# mongodb_tls_answers PORT CERTIFICATES: the same for a server with TLS.
mongodb_tls_answers()
{
    timeout 5 openssl s_client -connect "127.0.0.1:$1" -CAfile "$2/ca.crt" -cert "$2/client.pem" \
        -key "$2/client.pem" -verify_return_error -brief </dev/null
}

# mongodb_certificates DIR: makes a CA (ca.crt), a server's certificate for localhost and 127.0.0.1
# (server.crt, server.key), a client's (client.pem, with its key) and a CA that signed none of them
# (other-ca.crt).
mongodb_certificates()
{
    local dir=$1 name new=(openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    local san='subjectAltName=DNS:localhost,IP:127.0.0.1'
    mkdir -p "$dir" || return
    {
        for name in ca other-ca; do
            "${new[@]}" -x509 -days 3650 -subj "/CN=stint test $name" -keyout "$dir/$name.key" \
                -out "$dir/$name.crt" || return
        done
        for name in server client; do
            "${new[@]}" -subj "/O=stint $name/CN=localhost" -keyout "$dir/$name.key" \
                -out "$dir/$name.csr" &&
                openssl x509 -req -days 3650 -in "$dir/$name.csr" -CA "$dir/ca.crt" \
                    -CAkey "$dir/ca.key" -CAcreateserial -extfile <(echo "$san") \
                    -out "$dir/$name.crt" || return
        done
    } >/dev/null 2>"$dir/openssl.log" || { cat "$dir/openssl.log" >&2; return 1; }
    cat "$dir/client.crt" "$dir/client.key" >"$dir/client.pem"
}

mongodb_run_ferretdb()
{
    local folder=$1 port=$2 url=$3 auth=--no-auth option certificates=''
    local address=127.0.0.1 more=()
    shift 3
    for option in "$@"; do
        case $option in
            auth) auth=--auth ;;
            tls=*) certificates=${option#tls=} ;;
            on=*) address=${option#on=} ;;
            *) more+=("$option") ;;
        esac
    done
    if [ -n "$certificates" ]; then
        more+=(--listen-addr= "--listen-tls=$address:$port" --listen-tls-cert-file="$certificates/server.crt"
               --listen-tls-key-file="$certificates/server.key"
               --listen-tls-ca-file="$certificates/ca.crt")
    else
        more+=("--listen-addr=$address:$port")
    fi
    mongodb_launch "$folder" "$mongodb_ferretdb/ferretdb" --postgresql-url="$url" "$auth" \
        --telemetry=disable --state-dir="$folder" --debug-addr=- --log-level=warn "${more[@]}" ||
        return
    if [ -n "$certificates" ]; then
        mongodb_settled "$folder" mongodb_tls_answers "$port" "$certificates"
    else
        mongodb_settled "$folder" mongodb_answers "$port"
    fi
}

# mongodb_ferretdb_start FOLDER PORT URL [auth] [tls=CERTIFICATES] [on=ADDRESS] [OPTION...]: a front
# for the PostgreSQL at URL (mongodb_postgres_url) on PORT (0: a free one, see FOLDER/port). With
# `auth` only for users (mongodb_user); with `tls` only over TLS, to clients with a certificate of that
# folder (mongodb_certificates); with `on=0.0.0.0` for others than loopback too. Other OPTIONs are its
# own. Returns when it answers.
mongodb_ferretdb_start()
{
    local folder=$1 port=$2
    shift 2
    mongodb_new "$folder" ferretdb "$port" "$@" && mongodb_start_again "$folder"
}

mongodb_run_secantus()
{
    local folder=$1 port=$2
    shift 2
    mongodb_launch "$folder" "$mongodb_secantus/bin/python3" -c \
        'import sys; from secantus.cli import main; sys.exit(main())' --host=127.0.0.1 \
        --port="$port" --storage-path="$folder/data" --enable-test-commands "$@" &&
        mongodb_settled "$folder" mongodb_answers "$port"
}

# mongodb_secantus_start FOLDER PORT [OPTION...]: a SecantusDB with test commands (fail points) on
# PORT (0: a free one); its OPTIONs, as `--sync-on-commit`. Returns when it answers.
mongodb_secantus_start()
{
    local folder=$1 port=$2
    shift 2
    mongodb_new "$folder" secantus "$port" "$@" && mongodb_start_again "$folder"
}

# mongodb_uri FOLDER: prints the URI for a client of this server (without user and TLS).
mongodb_uri()
{
    echo "mongodb://127.0.0.1:$(<"$1/port")/?directConnection=true"
}
