#!/usr/bin/env bash
# Installs the system packages that km3vo needs: Python's venv, PostgreSQL and pgSphere; with --test also the clients
# that the tests drive, with --bench the one that measures. Debian 12 and 13, Ubuntu 24.04; as root or with sudo.
# What is there already is left as it is, and where all is there nothing is asked of apt or sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

# As in km3vo/cluster/programs.py.
oldest_postgresql=15

# STILTS (and what it reads ECSV with), TOPCAT and Aladin are the clients astronomers use; python3-gavo brings the
# IVOA's XML schemas.
clients=(stilts starlink-ecsv-java topcat aladin python3-gavo chromium xvfb)

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "Not root, and there is no sudo. As root, type: $*" >&2
        exit 1
    fi
}

# Quietly, unless it fails: packages tell a lot while they are set up.
apt_get() {
    local said
    said=$(as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>&1) || {
        echo "$said" >&2
        exit 1
    }
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The version that apt would install; fails when there is none.
candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: //p' | grep -v '(none)'; }

refresh() {
    [ -n "${refreshed-}" ] && return
    refreshed=yes
    # Some other source that cannot be reached does not keep ours from being used.
    (apt_get update) || true
}

# A PostgreSQL with pgSphere, from whatever source.
has_pgsphere() {
    local bin share
    for bin in $(dirname "$(command -v postgres || echo /nowhere/postgres)") /usr/lib/postgresql/*/bin; do
        [ -x "$bin/postgres" ] || continue
        [ "$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')" -ge "$oldest_postgresql" ] || continue
        share=$("$bin/pg_config" --sharedir 2>/dev/null) || share=/usr/share/postgresql/$(basename "$(dirname "$bin")")
        [ -e "$share/extension/pg_sphere.control" ] && return
    done
    return 1
}

want_postgresql() {
    has_pgsphere && return
    command -v apt-get >/dev/null || {
        echo "There is no apt-get here: install PostgreSQL and pgSphere by hand (docs/install.md)." >&2
        exit 1
    }
    refresh
    # The PostgreSQL that is there already, else the newest for which the distribution has pgSphere.
    local major found=
    for major in $(ls /usr/lib/postgresql 2>/dev/null | sort -rn) $(
        apt-cache pkgnames postgresql- | sed -n 's/^postgresql-\([0-9]*\)-pgsphere$/\1/p' | sort -rn
    ); do
        [ "$major" -ge "$oldest_postgresql" ] || continue
        if candidate "postgresql-$major-pgsphere" >/dev/null && candidate "postgresql-$major" >/dev/null; then
            found=$major
            break
        fi
    done
    [ -n "$found" ] || {
        echo "This distribution has no PostgreSQL $oldest_postgresql or newer with pgSphere (docs/install.md says what to do)." >&2
        exit 1
    }
    wanted+=("postgresql-$found" "postgresql-$found-pgsphere")
    if ! installed postgresql-common; then
        # Debian makes a cluster "main" on port 5432 along with the package. km3vo makes its own.
        as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false  # written by km3vo's scripts/install.sh" |
            as_root tee /etc/postgresql-common/createcluster.d/km3vo.conf >/dev/null
    fi
}

want_python() {
    local python
    python=$(scripts/python.sh 2>/dev/null) || python=
    if [ -z "$python" ]; then
        refresh
        # Where python3 is older there may be a newer one beside it, as in Ubuntu 22.04.
        for python in python3 python3.13 python3.12 python3.11; do
            case $(candidate "$python") in
                3.1[1-9]*) wanted+=("$python" "$python-venv") && return ;;
            esac
        done
        echo "km3vo needs Python 3.11 or newer, which this distribution does not have." >&2
        exit 1
    fi
    # Debian takes ensurepip, which venv needs, out of Python and into a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        wanted+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
}

want_clients() {
    local client
    for client in "$@"; do
        installed "$client" && continue
        refresh
        # Ubuntu's chromium is a snap in disguise, and not every release has every client: tests without theirs skip.
        if candidate "$client" >/dev/null && ! { [ "$client" = chromium ] && grep -q '^ID=ubuntu' /etc/os-release; }; then
            wanted+=("$client")
        else
            echo "This distribution has no package $client: what drives it is skipped."
        fi
    done
}

wanted=()
want_python
want_postgresql
if command -v apt-get >/dev/null; then
    case ${1-} in
        --test) want_clients "${clients[@]}" ;;
        --bench) want_clients wrk ;;
    esac
fi
if [ ${#wanted[@]} -gt 0 ]; then
    refresh
    echo "Installing ${wanted[*]}"
    apt_get --no-install-recommends install "${wanted[@]}"
fi

# Debian 12's PostgreSQL refuses its own pgSphere; km3vo/database/pgsphere_script.py says why and mends it.
python=$(scripts/python.sh)
if "$python" km3vo/database/pgsphere_script.py --check; then
    (as_root "$python" km3vo/database/pgsphere_script.py) || echo "Not mended: km3vo goes without, and says so when it starts."
fi
