# SPDX-License-Identifier: GPL-3.0-or-later
# instance.sh - a whole relay in a private folder on loopback: SoftHSM token, key service, relay,
# delivery worker, and a Postfix of its own as next hop. Sourced by try and by the tests.
# shellcheck shell=bash disable=SC2034
#
# Set before instance_start: BIN (folder of the build), DIR (private folder, made here).
# Optional: USER_KEY (rsa-2048), DEVICE_HOP (host:port of a next hop other than the private Postfix),
# FRONT (name of a mail system in front, whose word on senders counts), RAISED=yes (limits on new correspondents raised), POOL (ready keys).

RELAY_DOMAIN=relay.example.com
MAILBOX=alice@home.example.com
ALIAS=shop@$RELAY_DOMAIN
FRAGMENTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/postfix" && pwd)
INSTANCE_PIDS=()

# free_port - a TCP port on loopback that nobody listens on, below those that the kernel gives to
# outgoing connections.
free_port()
{
    local port
    while :; do
        port=$((10000 + RANDOM % 22000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# wait_for SECONDS COMMAND... - until it succeeds.
wait_for()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

listens()
{
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

instance_fail()
{
    echo "$1" >&2
    local log
    for log in "$DIR"/log/*.log; do
        [ -s "$log" ] && echo "--- ${log##*/}" >&2 && tail -n 5 "$log" >&2
    done
    return 1
}

# A folder only root enters; the mail system's own user must reach the Maildir.
instance_folders()
{
    mkdir -p "$DIR"/{token,hsm,relay/queue,run,log,etc,user,postfix,mail}
    chmod 711 "$DIR"
    chmod 700 "$DIR"/{token,hsm,relay,run,log,etc,user}
    chown nobody:nogroup "$DIR/mail"
    chmod 755 "$DIR/mail"
}

instance_token()
{
    printf 'directories.tokendir = %s/token\nobjectstore.backend = file\nlog.level = ERROR\n' "$DIR" \
        >"$DIR/etc/softhsm2.conf"
    export SOFTHSM2_CONF=$DIR/etc/softhsm2.conf
    (umask 077 && openssl rand -hex 16 >"$DIR/etc/pin")
    # A throw-away token: its PINs may be seen by who can see this machine's processes.
    softhsm2-util --init-token --free --label sealrelay --so-pin "$(openssl rand -hex 8)" \
        --pin "$(cat "$DIR/etc/pin")" >"$DIR/log/softhsm.log"
}

# The next hop: a Postfix that takes mail for home.example.com and puts it into a Maildir.
instance_postfix()
{
    local postfix=$DIR/postfix daemons service
    HOP_PORT=$(free_port)
    daemons=$(postconf -d -h daemon_directory)
    mkdir -p "$postfix"/{etc,queue,data}
    chown postfix "$postfix/data"
    cat >"$postfix/etc/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $postfix/queue
data_directory = $postfix/data
daemon_directory = $daemons
maillog_file = $DIR/log/postfix.log
maillog_file_prefixes = $DIR
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = hop.example.com
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
virtual_mailbox_domains = home.example.com
virtual_mailbox_base = $DIR/mail
virtual_mailbox_maps = static:alice/
virtual_minimum_uid = 100
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
biff = no
EOF
    "$FRAGMENTS/render" "$FRAGMENTS/next-hop.main.cf" >>"$postfix/etc/main.cf"
    {
        "$FRAGMENTS/render" "$FRAGMENTS/next-hop.master.cf" "HOP=127.0.0.1:$HOP_PORT"
        echo "pickup unix n - n 60 1 pickup"
        echo "qmgr unix n - n 300 1 qmgr"
        echo "cleanup unix n - n - 0 cleanup"
        echo "postlog unix-dgram n - n - 1 postlogd"
        # As the user postfix, all but virtual: what root writes to the queue's folders stays there.
        echo "virtual unix - n n - - virtual"
        for service in rewrite:trivial-rewrite proxymap:proxymap error:error retry:error \
            discard:discard; do
            echo "${service%%:*} unix - - n - - ${service##*:}"
        done
        for service in bounce defer trace; do
            echo "$service unix - - n - 0 bounce"
        done
        # These keep a table in memory, so there is one process of each.
        for service in verify anvil scache; do
            echo "$service unix - - n - 1 $service"
        done
    } >"$postfix/etc/master.cf"
    postfix -c "$postfix/etc" start >"$DIR/log/postfix-start.log" 2>&1 ||
        instance_fail "Postfix did not start: $(tail -n 3 "$DIR/log/postfix-start.log")"
    wait_for 10 listens "$HOP_PORT" || instance_fail "Postfix does not listen"
}

instance_config()
{
    local module limits="" verdict=""
    module=$(find /usr/lib -name libsofthsm2.so -print -quit)
    SMTP_PORT=$(free_port)
    LMTP_PORT=$(free_port)
    SOCKETMAP_PORT=$(free_port)
    [ "${RAISED:-no}" = yes ] &&
        limits=$'sender_keys_per_hour = 1000000\nsender_keys_per_day = 1000000\nsignatures_per_hour = 10000000\ndecryptions_per_hour = 10000000'
    cat >"$DIR/etc/sealhsmd.conf" <<EOF
[token]
module = $module
ca_uri = pkcs11:token=sealrelay
sender_uri = pkcs11:token=sealrelay
pin_file = $DIR/etc/pin
pool_size = ${POOL:-8}
[certificates]
country = DE
organisation = Example
[service]
state_dir = $DIR/hsm
relay_socket = $DIR/run/hsm-relay.sock
admin_socket = $DIR/run/hsm-admin.sock
web_socket = $DIR/run/hsm-web.sock
[limits]
$limits
EOF
    [ -n "${FRONT:-}" ] &&
        verdict=$'[verdict]\nsource = authentication-results\nauthserv_id = '$FRONT
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "/CN=$RELAY_DOMAIN" -addext "subjectAltName=DNS:$RELAY_DOMAIN" \
        -keyout "$DIR/etc/relay.key" -out "$DIR/etc/relay.pem" 2>/dev/null
    cat >"$DIR/etc/sealdeliver.conf" <<EOF
[deliver]
hostname = $RELAY_DOMAIN
EOF
    cat >"$DIR/etc/sealrelayd.conf" <<EOF
[relay]
hostname = $RELAY_DOMAIN
domains = $RELAY_DOMAIN
state_dir = $DIR/relay
hsm_socket = $DIR/run/hsm-relay.sock
deliver_socket = $DIR/run/deliver.sock
control_socket = $DIR/run/control.sock
[listen]
smtp = 127.0.0.1:$SMTP_PORT
lmtp = 127.0.0.1:$LMTP_PORT
lmtp_socket = $DIR/run/lmtp.sock
socketmap = 127.0.0.1:$SOCKETMAP_PORT
socketmap_socket = $DIR/run/recipients.sock
xforward = 127.0.0.1 unix
tls_certificate = $DIR/etc/relay.pem
tls_key = $DIR/etc/relay.key
$verdict
[queue]
free_min = 1M
retry_first = 2s
[next-hop default]
host = 127.0.0.1
port = $HOP_PORT
EOF
    cat >"$DIR/etc/sealctl.conf" <<EOF
[sockets]
key_service = $DIR/run/hsm-admin.sock
relay = $DIR/run/control.sock
EOF
    SEALCTL="$BIN/bin/sealctl --config $DIR/etc/sealctl.conf"
}

# spawn NAME COMMAND... - a daemon in the background, its log kept.
spawn()
{
    local name=$1
    shift
    "$@" >>"$DIR/log/$name.log" 2>&1 </dev/null &
    INSTANCE_PIDS+=($!)
    echo $! >"$DIR/run/$name.pid"
}

instance_daemons()
{
    spawn sealhsmd "$BIN/bin/sealhsmd" --config "$DIR/etc/sealhsmd.conf"
    spawn sealdeliver "$BIN/bin/sealdeliver" --config "$DIR/etc/sealdeliver.conf" \
        --listen "$DIR/run/deliver.sock"
    wait_for 20 test -S "$DIR/run/hsm-admin.sock" || instance_fail "sealhsmd did not start"
    $SEALCTL token init >"$DIR/log/token-init.log" 2>&1 || instance_fail "sealctl token init failed"
    spawn sealrelayd "$BIN/bin/sealrelayd" --config "$DIR/etc/sealrelayd.conf"
    wait_for 20 listens "$SMTP_PORT" || instance_fail "sealrelayd did not start"
}

# What operator and user do, step by step, each with the tool that is theirs.
instance_enrol()
{
    local code profile
    (umask 077 && openssl rand 17 | base32 | cut -c1-26 >"$DIR/user/passphrase")
    $SEALCTL user add alice "$MAILBOX" >"$DIR/log/operator.log"
    profile=$($SEALCTL --json profile add alice --domain "$RELAY_DOMAIN" \
        --key "${USER_KEY:-rsa-2048}" | jq -r .profile)
    PROFILE=$profile
    $SEALCTL profile csr "$profile" >"$DIR/user/request.json"
    "$BIN/bin/sealrelay-enroll" begin "$DIR/user/request.json" "$DIR/user/device" --yes \
        --passphrase-file "$DIR/user/passphrase" >"$DIR/log/enrol.log"
    $SEALCTL profile install "$profile" "$DIR/user/device/enrolment.json" >>"$DIR/log/operator.log"
    $SEALCTL profile issue "$profile" >"$DIR/user/certificate.json" 2>>"$DIR/log/operator.log"
    "$BIN/bin/sealrelay-enroll" finish "$DIR/user/device" "$DIR/user/certificate.json" \
        --passphrase-file "$DIR/user/passphrase" >>"$DIR/log/enrol.log"
    $SEALCTL alias add "$ALIAS" alice >>"$DIR/log/operator.log"
    P12=$DIR/user/device/identity-modern.p12
    ROOT=$DIR/user/device/root.pem
    MAILDIR=$DIR/mail/alice
    wait_for 60 have_mail || instance_fail "the activation code did not arrive"
    code=$(open_mail "$(newest_mail)" | grep -oE '^    [A-Za-z0-9]{8}' | tr -d ' \r') ||
        instance_fail "the activation code cannot be read"
    mkdir -p "$DIR/mail/opened" && mv "$MAILDIR"/new/* "$DIR/mail/opened/"
    $SEALCTL profile activate "$profile" "$code" >>"$DIR/log/operator.log"
    wait_for 60 have_mail || instance_fail "the greeting did not arrive"
    GREETING=$DIR/mail/opened/$(basename "$(newest_mail)")
    mv "$MAILDIR"/new/* "$DIR/mail/opened/"
}

have_mail()
{
    [ -n "$(newest_mail)" ]
}

newest_mail()
{
    find "$MAILDIR/new" -type f 2>/dev/null | sort | tail -n 1
}

# user_pem - the user's key and certificate out of the PKCS#12 file, as a client holds them.
user_pem()
{
    [ -s "$DIR/user/identity.pem" ] ||
        (umask 077 && openssl pkcs12 -in "$P12" -passin "file:$DIR/user/passphrase" -nodes \
            -out "$DIR/user/identity.pem" 2>/dev/null)
    echo "$DIR/user/identity.pem"
}

# open_mail FILE - what the user's client sees: decrypted, signature verified up to the root.
# The signer's certificate goes to $DIR/user/signer.pem.
open_mail()
{
    openssl cms -decrypt -in "$1" -inkey "$(user_pem)" -recip "$(user_pem)" |
        openssl cms -verify -CAfile "$ROOT" -purpose smimesign -crlfeol \
            -signer "$DIR/user/signer.pem" 2>"$DIR/log/verify.log"
}

instance_start()
{
    instance_folders
    instance_token
    if [ -n "${DEVICE_HOP:-}" ]; then
        HOP_PORT=${DEVICE_HOP##*:}
    else
        instance_postfix
    fi
    instance_config
    instance_daemons
    instance_enrol
}

instance_stop()
{
    local pid
    for pid in "${INSTANCE_PIDS[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${INSTANCE_PIDS[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    INSTANCE_PIDS=()
    [ -d "$DIR/postfix/etc" ] && postfix -c "$DIR/postfix/etc" stop >/dev/null 2>&1
    return 0
}
