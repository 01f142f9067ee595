#!/usr/bin/env bash
# Makes the project's environment: a virtual environment with everything in it, and nothing else changed.
# `make` calls it, and so does the Binder image.
#
#   binder/install.sh           what the notebooks need
#   binder/install.sh ebpf      and what the kernel lab needs (as root on Debian: BCC, QEMU, a kernel for it)
#   binder/install.sh packages  only the system's packages for the kernel lab, as root (an image is made so)
#   binder/install.sh test      and what `make test` needs (as root on Debian: Chromium and servers too)
#   binder/install.sh bench     what the notebooks need, the simulators that `make bench` compares, and Chromium
#
# VENV says where (default .venv), PYTHON which interpreter (default python3, 3.11 or later).
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-run}
venv=${VENV:-.venv}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }
die() { say "install: $*"; exit 1; }
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
apt() {
    say "install: $* (Debian package)"
    [ -n "${apt_updated:-}" ] || apt-get update -qq
    apt_updated=yes
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# the kernel lab: BCC for the system's own Python, headers to compile with, a machine to boot
lab_packages() {
    packages=""
    for need in /usr/lib/python3/dist-packages/bcc:python3-bpfcc /usr/bin/qemu-system-x86_64:qemu-system-x86 \
        /bin/busybox:busybox-static /sbin/tc:iproute2 /usr/sbin/nft:nftables /usr/sbin/iptables:iptables; do
        [ -e "${need%%:*}" ] || packages="$packages ${need##*:}"
    done
    ls -d /usr/src/linux-headers-*-common >/dev/null 2>&1 || packages="$packages linux-headers-amd64"
    [ -n "$packages" ] || return 0
    if can_apt; then
        # shellcheck disable=SC2086, a list of packages
        apt $packages || say "install: not to be had:$packages; the kernel lab shows recorded sessions"
    else
        say "install: no$packages; the kernel lab shows recorded sessions (as root: apt-get install$packages)"
    fi
}

if [ "$what" = packages ]; then
    lab_packages
    exit
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "Python 3.11 or later is needed; name one with PYTHON=/path/to/python3.11"

if [ ! -x "$venv/bin/pip" ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        can_apt || die "the venv module is missing; as root: apt-get install python3-venv"
        apt python3-venv
    fi
    say "install: making $venv (takes a minute or two)"
    "$python" -m venv "$venv"
fi

# a stamp for each of them; what `test` installs is enough for all but `bench`
stamp="$(cksum <pyproject.toml)"
[ "$what" = bench ] || enough="$venv/installed-test"
if ! grep -qsxF "$stamp" "$venv/installed-$what" ${enough:+"$enough"}; then
    extras=""
    [ "$what" = test ] && extras="[test,dev,live]"
    [ "$what" = bench ] && extras="[bench,test]" # test has the driver of the browser
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable ".$extras"
    # no question about news over the first page that a learner sees
    settings="$venv/share/jupyter/lab/settings"
    mkdir -p "$settings"
    cat >"$settings/overrides.json" <<'END'
{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
END
    say "install: compiling the fast engine (three quarters of a minute, once)"
    "$venv/bin/python" -c "from toolkit.simulation.compiled_engine import compiler; compiler.compile_all()"
    printf '%s\n' "$stamp" >"$venv/installed-$what"
fi

# a small machine to boot, where there is none
if [ "$what" != run ] && [ "$what" != bench ]; then
    lab_packages
    "$venv/bin/python" -m toolkit.ebpf.image --if-missing \
        || say "install: no image of the guest; the kernel lab will do without the micro-VM"
fi

if { [ "$what" = test ] || [ "$what" = bench ]; } && ! command -v chromium >/dev/null; then
    if can_apt; then
        apt chromium fonts-dejavu-core || say "install: no Chromium to be had; what needs a browser will be skipped"
    else
        say "install: no Chromium; what needs a browser will be skipped (as root: apt-get install chromium)"
    fi
fi

# the real servers that the live tests start on loopback, by themselves and on ports of their own
if [ "$what" = test ]; then
    for server in redis-server rabbitmq-server sidekiq; do
        command -v "$server" >/dev/null || [ -x "/usr/sbin/$server" ] || missing="${missing:-} $server"
    done
    if [ -n "${missing:-}" ]; then
        packages=${missing/sidekiq/ruby-sidekiq}
        if can_apt; then
            # shellcheck disable=SC2086, a list of packages
            apt $packages || say "install: not to be had:$packages; their live tests will be skipped"
        else
            say "install: no$packages; their live tests will be skipped (as root: apt-get install$packages)"
        fi
    fi
fi
