# SPDX-License-Identifier: GPL-3.0-or-later
# packages.sh - what has to be installed on Debian 12, for which purpose. Sourced by other scripts.
# shellcheck shell=bash disable=SC2034

BUILD_PACKAGES=(
    gcc libc6-dev cmake ninja-build pkg-config
    libssl-dev libp11-dev libp11-kit-dev libesmtp-dev libgmime-3.0-dev libsqlite3-dev
    libprotobuf-c-dev protobuf-c-compiler libinih-dev libsystemd-dev libcjson-dev
    libcurl4-openssl-dev
)
# A SoftHSM token, a Postfix as next hop, clients to show what arrives.
DEMO_PACKAGES=(softhsm2 postfix openssl curl jq ca-certificates)
TEST_PACKAGES=(
    clang clang-format clang-tidy libclang-rt-14-dev shellcheck libcmocka-dev
    rspamd unbound python3-dkim
    python3 strace swaks libnet-ssleay-perl libnss3-tools gpgsm gnupg git
)

# Mail clients, large ones: only for the tests that drive them.
CLIENT_PACKAGES=(thunderbird neomutt gpg-agent)

# Other mail servers, for the long tests. Debian installs one mail server at a time: these are only
# unpacked, and what they link is installed.
PEER_PACKAGES=(exim4-daemon-light opensmtpd)
PEER_LIBRARIES=(
    libcrypt1 libdb5.3 libevent-2.1-7 libgnutls-dane0 libgnutls30 libidn12 libidn2-0 libnsl2
    libpam0g libpcre2-8-0
)

# unpack_packages DIR NAME... - fetch packages and lay their files out below DIR, installing nothing.
unpack_packages()
{
    local dir=$1 fetched
    shift
    [ "$(cat "$dir/unpacked" 2>/dev/null)" = "$*" ] && return 0
    echo "Unpacking $* in $dir"
    rm -rf "$dir"
    mkdir -p "$dir"
    fetched=$(mktemp -d)
    if ! (cd "$fetched" && apt-get -qq update && apt-get -qq download "$@" 2>&1) >"$fetched/log"; then
        tail -n 20 "$fetched/log" >&2
        rm -rf "$fetched"
        return 1
    fi
    local package
    for package in "$fetched"/*.deb; do
        dpkg-deb -x "$package" "$dir" || return 1
    done
    rm -rf "$fetched"
    echo "$*" >"$dir/unpacked"
}

# install_packages NAME... - install what is missing, quietly, without asking.
install_packages()
{
    local missing=() name log
    for name in "$@"; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "These packages are missing, run this as root: ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${#missing[@]} packages: ${missing[*]}"
    log=$(mktemp)
    if ! apt_install "${missing[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "Installing failed; try: apt-get update && apt-get install ${missing[*]}" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

apt_install()
{
    apt-get -qq update || return 1
    # Postfix runs only as private instances here: without a configuration it is not started.
    if printf '%s\n' "$@" | grep -qx postfix; then
        echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    fi
    # So do these two: their packaged services stay down, now and at the next start.
    local unit
    for unit in rspamd unbound; do
        [ -d /run/systemd/system ] && printf '%s\n' "$@" | grep -qx "$unit" &&
            systemctl mask --quiet --runtime "$unit.service"
    done
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" || return 1
    for unit in rspamd unbound; do
        [ -d /run/systemd/system ] && printf '%s\n' "$@" | grep -qx "$unit" &&
            systemctl disable --quiet "$unit.service"
    done
    return 0
}
