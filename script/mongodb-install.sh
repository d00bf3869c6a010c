# shellcheck shell=bash
# Installs the servers that script/mongodb-lib.sh runs, once, into the user's cache folder. To be
# sourced by bash; `mongodb_install` is the function to call. It asks nothing and needs root.
#
# What is installed, each into a folder of its own that appears, by a rename, when it is whole:
#   postgresql-18     a small Debian root with PostgreSQL and its DocumentDB extension, and in it
#                     /srv/template: a data folder with the extension made, to be copied
#   ferretdb-VERSION  one program, which speaks the MongoDB protocol in front of that PostgreSQL
#   secantus-VERSION  a Python environment with SecantusDB

mongodb_cache=${STINT_MONGODB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/stint/mongodb}
export STINT_MONGODB_CACHE=$mongodb_cache # a test that changes HOME later finds the same
mongodb_suite=forky                       # the first release of Debian that has the extension
mongodb_ferretdb_version=2.7.0
mongodb_secantus_version=0.7.0b3
mongodb_root=$mongodb_cache/postgresql-18
mongodb_ferretdb=$mongodb_cache/ferretdb-$mongodb_ferretdb_version
mongodb_secantus=$mongodb_cache/secantus-$mongodb_secantus_version

mongodb_say()
{
    printf 'mongodb-servers: %s\n' "$*" >&2
}

# mongodb_skip REASON: these servers cannot be had here.
mongodb_skip()
{
    printf 'SKIP: %s\n' "$*"
    exit 77
}

# mongodb_step TEXT COMMAND...: runs it quietly, says how long it took, shows its output when it
# fails; returns its status.
mongodb_step()
{
    local text=$1 began=$SECONDS output status=0
    shift
    mongodb_say "$text ..."
    output=$("$@" 2>&1 </dev/null) || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 40 <<<"$output" >&2
        mongodb_say "$text: failed after $((SECONDS - began)) s"
    else
        mongodb_say "$text: $((SECONDS - began)) s"
    fi
    return "$status"
}

# The whole environment of what runs apart: of the caller's, only the mark of its test.
mongodb_plain=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
               DEBIAN_FRONTEND=noninteractive ${E2E_MARK+"E2E_MARK=$E2E_MARK"})

# mongodb_enter_root ROOT USER FOLDER: fills the array `in_root` with the words to put before a
# command, so that it runs in ROOT as USER (`root` or `postgres`), where FOLDER is /srv/data. What is
# mounted for it, nobody else sees, and it is gone with the process. Each step replaces the last one:
# the process that is started so is the command's in the end.
mongodb_enter_root()
{
    local ids
    ids=$(awk -F: -v user="$2" '$1 == user { print $3 ":" $4 }' "$1/etc/passwd")
    # shellcheck disable=SC2016 # expanded by the inner bash
    in_root=(unshare --mount --propagation private bash -c '
        mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" &&
            mount --rbind "$3" "$1/srv/data" && cd / || exit 125
        root=$1 ids=$2
        shift 3
        exec chroot --groups= --userspec="$ids" "$root" "$@"' in-root "$1" "$ids" "$3")
}

# mongodb_in_root ROOT USER FOLDER COMMAND...: runs it there and waits.
mongodb_in_root()
{
    local in_root
    mongodb_enter_root "$1" "$2" "$3"
    shift 3
    "${in_root[@]}" "$@"
}

# Where this machine gets its own release of Debian from; with `apt-get update` done or not.
mongodb_mirror()
{
    local release
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$release" '
            $1 ~ /^https?:/ && $3 == "main" && $1 !~ /security/ {
                if (!any) any = $1
                if ($2 == release && !own) own = $1
            }
            END { print own ? own : any }'
}

mongodb_proxy()
{
    local proxy=
    eval "$(apt-config shell proxy "Acquire::$1::Proxy")"
    echo "$proxy"
}

mongodb_debootstrap()
{
    local root=$1 mirror=$2 proxy more=()
    proxy=$(mongodb_proxy http)
    [ -z "$proxy" ] || more+=(http_proxy="$proxy")
    proxy=$(mongodb_proxy https)
    [ -z "$proxy" ] || more+=(https_proxy="$proxy")
    # What it mounts goes with its namespace, also when it is killed.
    env "${more[@]}" unshare --mount --propagation private debootstrap --variant=minbase \
        --include=ca-certificates "$mongodb_suite" "$root" "$mirror" sid
}

# The root gets this machine's ways to the outside, and no package in it starts anything.
mongodb_prepare_root()
{
    local root=$1
    mkdir -p "$root/srv/data" "$root/etc/postgresql-common" &&
        cp -L /etc/resolv.conf /etc/hosts "$root/etc/" &&
        cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" &&
        apt-config dump | grep -E '^Acquire::(http|https|Retries)[:: ]' \
            >"$root/etc/apt/apt.conf.d/50machine"
    echo 'Acquire::Check-Valid-Until "false"; Acquire::Retries "3";' \
        >"$root/etc/apt/apt.conf.d/60stint" &&
        echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/stint" &&
        echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf" &&
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" &&
        chmod 755 "$root/usr/sbin/policy-rc.d"
}

# mongodb_root_command ROOT COMMAND...: as root of ROOT, its /srv/data being empty.
mongodb_root_command()
{
    local root=$1
    shift
    mongodb_in_root "$root" root "$root/mnt" env -i "${mongodb_plain[@]}" "$@"
}

# mongodb_add_packages ROOT PACKAGE...
mongodb_add_packages()
{
    local root=$1 apt=(apt-get -y -o Dpkg::Options::=--force-confold)
    shift
    mongodb_root_command "$root" "${apt[@]}" update &&
        mongodb_root_command "$root" "${apt[@]}" install --no-install-recommends "$@" &&
        mongodb_root_command "$root" apt-get clean
}

# Where the programs of PostgreSQL are, in its root.
mongodb_pg=/usr/lib/postgresql/18/bin

# Makes ROOT/srv/template. Every server listens on loopback alone, without a socket in a folder.
mongodb_make_template()
{
    local root=$1 made=$1/srv/made
    mkdir "$made" && chown --reference="$root/var/lib/postgresql" "$made" || return
    mongodb_in_root "$root" postgres "$made" "$mongodb_pg/initdb" --pgdata=/srv/data/data \
        --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync || return
    cat >>"$made/data/postgresql.conf" <<'END' || return
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
cron.host = '127.0.0.1'
max_connections = 200
END
    # With a socket in its own folder: so no port is needed yet.
    mongodb_in_root "$root" postgres "$made" "$mongodb_pg/pg_ctl" start --wait --timeout=60 \
        --pgdata=/srv/data/data --log=/srv/data/log \
        --options="-h '' -k /srv/data" || { cat "$made/log"; return 1; }
    mongodb_in_root "$root" postgres "$made" psql -h /srv/data -v ON_ERROR_STOP=1 \
        -c 'CREATE EXTENSION documentdb CASCADE'
    local status=$?
    mongodb_in_root "$root" postgres "$made" "$mongodb_pg/pg_ctl" stop --mode=fast --wait \
        --pgdata=/srv/data/data && [ "$status" -eq 0 ] && mv "$made/data" "$root/srv/template" &&
        rm -rf "$made" && sync -f "$root"
}

# Debian's own packages that are needed here, as `script/bootstrap` gets them.
mongodb_need_package()
{
    command -v "$1" >/dev/null && return
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o Acquire::Retries=3
               -o DPkg::Lock::Timeout=300)
    command -v apt-get >/dev/null || return
    mongodb_step "installing $2" bash -c '
        "$@" install --no-install-recommends '"$2"' || {
            "$@" update && "$@" install --no-install-recommends '"$2"'
        }' install "${apt[@]}"
}

mongodb_install_root()
{
    local root=$mongodb_cache/new.postgresql mirror
    mirror=$(mongodb_mirror)
    [ -n "$mirror" ] || { mongodb_say "apt names no mirror of Debian"; return 1; }
    mongodb_need_package debootstrap debootstrap &&
        mongodb_step "making a root of Debian $mongodb_suite" \
            mongodb_debootstrap "$root" "$mirror" &&
        mongodb_prepare_root "$root" &&
        mongodb_step "installing PostgreSQL with DocumentDB" \
            mongodb_add_packages "$root" postgresql-18-documentdb &&
        mongodb_step "making the data folder to copy" mongodb_make_template "$root" &&
        mv "$root" "$mongodb_root"
}

# FerretDB wants this Go, or a later one.
mongodb_has_go()
{
    local version
    version=$(go env GOVERSION 2>/dev/null) || return
    [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 25 ]
}

mongodb_build_ferretdb()
{
    local folder=$1 module=github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v$mongodb_ferretdb_version
    if mongodb_has_go; then
        CGO_ENABLED=0 GOFLAGS=-modcacherw GOPATH=$folder/go GOCACHE=$folder/go/cache \
            GOBIN=$folder go install "$module" || return
    else
        mongodb_add_packages "$mongodb_root" golang-go &&
            mongodb_in_root "$mongodb_root" root "$folder" env HOME=/srv/data PATH=/usr/bin:/bin \
                CGO_ENABLED=0 GOFLAGS=-modcacherw GOPATH=/srv/data/go \
                GOCACHE=/srv/data/go/cache GOBIN=/srv/data go install "$module" || return
    fi
    [ -x "$folder/ferretdb" ] && rm -rf "$folder/go"
}

mongodb_install_ferretdb()
{
    local folder=$mongodb_cache/new.ferretdb
    mkdir "$folder" &&
        mongodb_step "building FerretDB $mongodb_ferretdb_version" \
            mongodb_build_ferretdb "$folder" && mv "$folder" "$mongodb_ferretdb"
}

# The folder is renamed afterwards: so its programs are called as modules of its Python.
mongodb_make_venv()
{
    python3 -m venv "$1" &&
        "$1/bin/python3" -m pip --disable-pip-version-check install --quiet \
            "SecantusDB==$mongodb_secantus_version" pymongo &&
        "$1/bin/python3" -c 'import pymongo, secantus.cli'
}

mongodb_install_secantus()
{
    local folder=$mongodb_cache/new.secantus
    command -v python3 >/dev/null || { mongodb_say "no python3"; return 1; }
    python3 -c 'import ensurepip' 2>/dev/null ||
        mongodb_need_package no-such-command python3-venv || return
    mongodb_step "installing SecantusDB $mongodb_secantus_version" mongodb_make_venv "$folder" &&
        mv "$folder" "$mongodb_secantus"
}

# Both parts of the first server; side by side where FerretDB needs nothing of the root.
mongodb_install_engine()
{
    local status=0 other=
    if [ ! -d "$mongodb_ferretdb" ] && mongodb_has_go; then
        mongodb_install_ferretdb &
        other=$!
    fi
    [ -d "$mongodb_root" ] || mongodb_install_root || status=1
    [ -z "$other" ] || wait "$other" || status=1
    [ "$status" -eq 0 ] || return 1
    [ -d "$mongodb_ferretdb" ] || mongodb_install_ferretdb
}

mongodb_installed()
{
    case $1 in
        ferretdb) [ -d "$mongodb_root" ] && [ -d "$mongodb_ferretdb" ] ;;
        secantus) [ -d "$mongodb_secantus" ] ;;
        all) mongodb_installed ferretdb && mongodb_installed secantus ;;
    esac
}

# Of callers at the same time one installs, the others wait for it. What a killed one left is
# removed: whatever of it still runs holds the lock, so by then it has ended.
mongodb_install_locked()
{
    local what=$1 status=0 left other=
    flock --nonblock 9 || { mongodb_say "waiting for another installation"; flock 9; }
    mongodb_installed "$what" && return
    for left in "$mongodb_cache"/new.*; do
        [ ! -e "$left" ] || rm -rf --one-file-system "$left" || return
    done
    if [ "$what" != ferretdb ] && [ ! -d "$mongodb_secantus" ]; then
        mongodb_install_secantus &
        other=$!
    fi
    [ "$what" = secantus ] || mongodb_install_engine || status=1
    [ -z "$other" ] || wait "$other" || status=1
    [ "$status" -eq 0 ] && mongodb_installed "$what"
}

# mongodb_install ferretdb|secantus|all: installs what is missing; at once when nothing is. Ends the
# script by mongodb_skip when it cannot be had.
mongodb_install()
{
    [ "$(id -u)" -eq 0 ] || mongodb_skip "MongoDB servers: they need root (chroot)"
    unshare --mount true 2>/dev/null ||
        mongodb_skip "MongoDB servers: this machine lets nobody mount (no CAP_SYS_ADMIN)"
    mongodb_installed "$1" && return
    mkdir -p "$mongodb_cache" || mongodb_skip "MongoDB servers: cannot write to $mongodb_cache"
    (mongodb_install_locked "$1") 9>"$mongodb_cache/lock" ||
        mongodb_skip "MongoDB servers: their installation failed (above)"
}
