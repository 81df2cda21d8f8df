#!/bin/sh
# with_postgres.sh COMMAND [ARGUMENT…]: runs COMMAND with a PostgreSQL of its own (empty database, unix socket in a temporary folder,
# durable against a killed server but not a killed machine) and takes the server away afterwards. The command finds in its environment:
#   DIALPLANE_TEST_DATABASE_URL  where to connect, as superuser of the database "dialplane"
#   DIALPLANE_TEST_PG_CTL        a script: start, stop (fast), kill (immediate), freeze and thaw (SIGSTOP/SIGCONT) that server
# Bounded in time by DIALPLANE_TEST_LIMIT seconds (300). Should this script itself be killed, a watcher stops the server.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT...]" >&2
    exit 2
fi
if [ -n "${DIALPLANE_TEST_DATABASE_URL:-}" ]; then
    exec "$@" # nested: one server is enough
fi

bin=${DIALPLANE_PG_BIN:-/usr/lib/postgresql/15/bin}
if [ ! -x "$bin/initdb" ]; then
    echo "$0: no PostgreSQL 15 in $bin (Debian package postgresql-15)" >&2
    exit 77
fi

# A short path: a unix socket's may have 107 bytes.
dir=$(mktemp -d /tmp/dialplane-pg.XXXXXX)
run=
if [ "$(id -u)" -eq 0 ]; then
    # initdb refuses root.
    user=nobody
    chown "$user" "$dir"
    run="runuser -u $user --"
fi
chmod 755 "$dir"

cat >"$dir/ctl" <<END
#!/bin/sh
case "\$1" in
start) $run "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" start >/dev/null 2>&1 </dev/null ;;
stop) $run "$bin/pg_ctl" -D "$dir/data" -w -t 30 -m fast stop >/dev/null 2>&1 ;;
kill) $run "$bin/pg_ctl" -D "$dir/data" -w -t 30 -m immediate stop >/dev/null 2>&1 ;;
freeze | thaw)
    main=\$(head -n 1 "$dir/data/postmaster.pid")
    signal=STOP
    [ "\$1" = freeze ] || signal=CONT
    # The postmaster first, so that it starts no more children.
    kill -\$signal \$main \$(cat /proc/\$main/task/\$main/children) ;;
*) echo "usage: \$0 start|stop|kill|freeze|thaw" >&2; exit 2 ;;
esac
END
chmod 755 "$dir/ctl"

child=
clean_up() {
    trap - EXIT INT TERM HUP
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    "$dir/ctl" kill || true
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM HUP

cd "$dir"
if ! $run "$bin/initdb" -D "$dir/data" -U dialplane -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1; then
    cat "$dir/initdb.log" >&2
    exit 1
fi
cat >>"$dir/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$dir'
fsync = off
full_page_writes = off
max_connections = 100
max_wal_size = 256MB
shared_buffers = 64MB
log_min_messages = warning
END
cd - >/dev/null
if ! "$dir/ctl" start; then
    cat "$dir/log" >&2
    exit 1
fi
$run "$bin/createdb" -h "$dir" -U dialplane dialplane

export DIALPLANE_TEST_DATABASE_URL="postgresql://dialplane@/dialplane?host=$dir"
export DIALPLANE_TEST_PG_CTL="$dir/ctl"
exec 3<&0 # a command in the background gets no input of its own
# In the background, so that a signal is answered at once; timeout passes it on to all that the command has started.
timeout --kill-after=5 "${DIALPLANE_TEST_LIMIT:-300}" "$@" <&3 3<&- &
child=$!

# ctest kills with SIGKILL, which no trap sees.
script=$$
setsid sh -c "while kill -0 $script 2>/dev/null && [ -d '$dir' ]; do sleep 1; done
    [ -d '$dir' ] && { kill $child; '$dir/ctl' kill; rm -rf '$dir'; }" >/dev/null 2>&1 </dev/null &

status=0
wait "$child" || status=$?
child=
if [ "$status" -ne 0 ] && [ -s "$dir/log" ]; then
    echo "--- the server's log, last lines:" >&2
    tail -n 20 "$dir/log" >&2
fi
exit "$status"
