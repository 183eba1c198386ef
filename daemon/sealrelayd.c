/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sealrelayd.c - the relay: opens what the flow needs, serves until told to stop, closes in order.
 *
 * Needs neither PIN nor PKCS#11 module: its keys lie behind the key service's socket. */
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/secret.h"
#include "daemon/config/relay_config.h"
#include "daemon/control/verbs.h"
#include "daemon/deliver/runner.h"
#include "daemon/flow/bounce.h"
#include "daemon/flow/forward.h"
#include "daemon/flow/greet.h"
#include "daemon/flow/introduce.h"
#include "daemon/flow/notice.h"
#include "daemon/flow/trial.h"
#include "daemon/listen.h"
#include "hsm/provider/provider.h"

#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Making an RSA key for a new correspondent may take the token a few seconds. */
#define HSM_TIMEOUT_MS 10000

struct relay {
    struct relay_config config;
    struct hop hops[RELAY_HOPS_MAX];
    const char *hop_domains[RELAY_HOPS_MAX];
    size_t n_hop_domains;
    struct hsm *hsm;
    struct store *store;
    struct queue *queue;
    struct verdict_checker *verdict;
    struct trust *trust;
    struct forward forward;
    struct receive *server;
    struct runner *runner;
    struct bounce *bounce;
    struct greet *greet;
    atomic_bool draining;
    struct relay_verbs verbs;
    struct control *control;
};

static struct receive *stop_server;

static void on_stop(int signal_number)
{
    (void)signal_number;
    receive_stop(stop_server);
}

static enum err fail(const char *what, enum err e)
{
    const struct err_note *note = err_note_get();

    (void)fprintf(stderr, "sealrelayd: %s: %s: %s\n", what, note->action, note->detail);
    return e;
}

static enum err open_state(struct relay *r)
{
    const struct relay_config *c = &r->config;
    struct hsm_options hsm = {.socket_path = c->hsm_socket, .timeout_ms = HSM_TIMEOUT_MS};
    char path[PATH_MAX];
    struct queue_options queue = {.dir = path,
                                  .lifetime_s = c->lifetime_s,
                                  .free_min_bytes = c->free_min,
                                  .history_s = c->history_s};
    enum err e = provider_load();

    if (!e)
        e = hsm_open(&hsm, &r->hsm);
    if (e)
        return e;
    if (snprintf(path, sizeof path, "%s/store.db", c->state_dir) >= (int)sizeof path)
        return err_note(ERR_CONFIG, "state_dir", "path too long");
    e = store_open(path, r->hsm, &r->store);
    if (e)
        return e;
    (void)snprintf(path, sizeof path, "%s/queue", c->state_dir);
    e = queue_open(&queue, r->hsm, &r->queue);
    return e ? e : queue_release_active(r->queue);
}

static enum err open_verdict(struct relay *r)
{
    const struct relay_config *c = &r->config;
    struct verdict_options options = {.rspamd = c->rspamd,
                                      .timeout_s = c->verdict_timeout_s,
                                      .password_file = c->verdict_password_file,
                                      .authserv_id = c->authserv_id};
    enum err e = verdict_source_parse(c->verdict_source, &options.source);

    return e ? e : verdict_open(&options, &r->verdict);
}

static void fill_hops(struct relay *r)
{
    for (size_t i = 0; i < r->config.n_hops; i++) {
        const struct relay_hop *from = &r->config.hops[i];

        r->hops[i] = (struct hop){.domain = from->domain,
                                  .host = from->host,
                                  .port = (uint16_t)from->port,
                                  .tls = strcmp(from->tls, "required") == 0 ? HOP_TLS_REQUIRED
                                                                            : HOP_TLS_NONE,
                                  .ca_file = from->ca_file,
                                  .sessions_max = from->sessions};
        if (from->domain[0])
            r->hop_domains[r->n_hop_domains++] = from->domain;
    }
}

static void fill_forward(struct relay *r)
{
    const struct relay_config *c = &r->config;

    r->forward = (struct forward){
        .policy = {.store = r->store,
                   .hsm = r->hsm,
                   .domains = (const char *const *)c->domains.items,
                   .n_domains = c->domains.n},
        .store = r->store,
        .hsm = r->hsm,
        .queue = r->queue,
        .verdict = r->verdict,
        .trust = r->trust,
        .draining = &r->draining,
        .relay_id = c->hostname,
        .hop_domains = r->hop_domains,
        .n_hop_domains = r->n_hop_domains,
        .limits = {.keys_per_message = c->new_keys_per_message,
                   .catch_all_per_day = c->catch_all_per_day,
                   .hide_subject = c->hide_subject,
                   .reports_per_day = c->reports_per_day},
    };
}

static enum err open_server(struct relay *r)
{
    const struct relay_config *c = &r->config;
    struct receive_handler handler = forward_handler(&r->forward);
    struct receive_options options = {
        .hostname = c->hostname,
        .peers = (const char *const *)c->peers.items,
        .n_peers = c->peers.n,
        .xforward = (const char *const *)c->xforward.items,
        .n_xforward = c->xforward.n,
        .tls_certificate = c->tls_certificate,
        .tls_key = c->tls_key,
        .connections_max = c->connections,
        .connections_per_peer = c->connections_per_peer,
        .lookups_max = c->socketmap_connections,
        .recipients_max = c->recipients,
        .message_max_bytes = c->message_size,
        .memory_max_bytes = c->memory,
        .command_timeout_s = c->command_timeout_s,
        .data_timeout_s = c->data_timeout_s,
    };
    enum err e = receive_new(&options, &handler, &r->server);

    return e ? e : listen_all(c, r->server);
}

static enum err start_runner(struct relay *r)
{
    const struct relay_config *c = &r->config;
    struct runner_options options = {.socket_path = c->deliver_socket,
                                     .hops = r->hops,
                                     .n_hops = c->n_hops,
                                     .messages_per_session = c->messages_per_session,
                                     .retry_first_s = c->retry_first_s,
                                     .retry_max_s = c->retry_max_s};

    return runner_start(&options, r->queue, &r->runner);
}

static enum err notify_profile(void *flow, const char *profile)
{
    return notice_activation(flow, profile, clock_now_s());
}

static enum err notify_keys(void *flow, const char *profile)
{
    return notice_keys(flow, profile, clock_now_s());
}

static void greet_soon(void *greet)
{
    greet_kick(greet);
}

static enum err introduce_to(void *flow, const char *alias, const char *address,
                             struct store_correspondent *out)
{
    return introduce(flow, alias, address, clock_now_s(), out);
}

static enum err try_message(void *flow, const struct trial *t, struct reply *answer_out)
{
    return trial_run(flow, t, answer_out);
}

static enum err start_control(struct relay *r)
{
    const struct relay_config *c = &r->config;
    const struct passwd *user = NULL;

    if (c->control_user) {
        user = getpwnam(c->control_user);
        if (!user)
            return err_note(ERR_CONFIG, c->control_user, "control_user: no such user");
    }
    r->verbs = (struct relay_verbs){.store = r->store,
                                    .queue = r->queue,
                                    .hsm = r->hsm,
                                    .runner = r->runner,
                                    .receive = r->server,
                                    .verdict = r->verdict,
                                    .domains = (const char *const *)c->domains.items,
                                    .n_domains = c->domains.n,
                                    .operator_user = c->operator_user,
                                    .started_s = clock_now_s(),
                                    .dropped = &r->forward.dropped,
                                    .returned = r->forward.counters,
                                    .n_returned = FORWARD_COUNTERS,
                                    .draining = &r->draining,
                                    .flow = &r->forward,
                                    .profile_notify = notify_profile,
                                    .keys_notify = notify_keys,
                                    .profile_greet = greet_soon,
                                    .greet = r->greet,
                                    .introduce = introduce_to,
                                    .message_try = try_message,
                                    .message_max_bytes = c->message_size};
    return control_start(c->control_socket, user ? user->pw_uid : (uid_t)-1, relay_verbs,
                         n_relay_verbs, &r->verbs, &r->control);
}

static enum err relay_open(struct relay *r)
{
    enum err e = open_state(r);

    if (e)
        return fail("state", e);
    e = open_verdict(r);
    if (e)
        return fail("verdict", e);
    e = trust_open(r->config.trust, &r->trust);
    if (e)
        return fail("trust", e);
    fill_hops(r);
    fill_forward(r);
    forward_counters_name(&r->forward);
    e = open_server(r);
    if (e)
        return fail("listen", e);
    e = start_runner(r);
    if (e)
        return fail("delivery", e);
    e = bounce_start(&r->forward, &r->bounce);
    if (e)
        return fail("bounces", e);
    e = greet_start(&r->forward, &r->greet);
    if (e)
        return fail("greetings", e);
    e = start_control(r);
    return e ? fail("control", e) : ERR_OK;
}

/* The reverse order: no new mail, then no new deliveries, then the files. */
static void relay_close(struct relay *r)
{
    control_stop(r->control);
    receive_free(r->server);
    runner_stop(r->runner);
    greet_stop(r->greet);
    bounce_stop(r->bounce);
    verdict_close(r->verdict);
    trust_free(r->trust);
    queue_close(r->queue);
    store_close(r->store);
    hsm_free(r->hsm);
    relay_config_clear(&r->config);
}

static enum err relay_run(struct relay *r)
{
    struct sigaction stop = {.sa_handler = on_stop};
    enum err e;

    stop_server = r->server;
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sd_notify(0, "READY=1");
    log_event(LOG_LEVEL_INFO, "relay.ready", "-", ERR_OK, -1, "host=%s", r->config.hostname);
    e = receive_run(r->server);
    (void)sd_notify(0, "STOPPING=1");
    return e;
}

static int usage(void)
{
    (void)fputs("usage: sealrelayd --config FILE [--check-config] [--trace]\n", stderr);
    return EX_USAGE;
}

static int check_config(struct relay *r)
{
    enum err e = relay_config_probe(&r->config);

    if (e) {
        (void)fail("next hop", e);
        return EX_CONFIG;
    }
    e = open_verdict(r);
    if (!e)
        e = verdict_ping(r->verdict);
    if (e) {
        (void)fail("verdict", e);
        return EX_CONFIG;
    }
    if (trust_open(r->config.trust, &r->trust)) {
        (void)fail("trust", ERR_CONFIG);
        return EX_CONFIG;
    }
    (void)puts("configuration is good");
    return EX_OK;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"trace", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    static struct relay relay;
    const char *config = NULL;
    bool check = false, trace = false;
    int option, status = EX_OK;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            config = optarg;
        else if (option == 'k')
            check = true;
        else if (option == 't')
            trace = true;
        else
            return usage();
    }
    if (!config || optind != argc)
        return usage();
    log_open("sealrelayd", trace);
    process_harden();
    if (relay_config_load(config, &relay.config)) {
        (void)fail("configuration", ERR_CONFIG);
        return EX_CONFIG;
    }
    if (check)
        status = check_config(&relay);
    else {
        enum err e = relay_open(&relay);

        if (!e)
            e = relay_run(&relay);
        if (e)
            status = err_class(e) == CLASS_OPER ? EX_CONFIG : EX_TEMPFAIL;
    }
    relay_close(&relay);
    return status;
}
