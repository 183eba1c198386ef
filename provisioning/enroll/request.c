/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.c - reads and checks the relay's request.
 *
 * The relay may be anybody's: each field is checked against what it may be, and an unknown field
 * refuses the file, so that a newer relay cannot ask for something this tool would overlook. */
#include "provisioning/enroll/request.h"
#include "daemon/base/id.h"
#include "daemon/base/utf8.h"
#include "hsm/issue/name.h"
#include "provisioning/enroll/keys.h"
#include "provisioning/enroll/names.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <string.h>

#define REQUEST_FORMAT   "sealrelay-request 1"
#define ROOT_DAYS_MIN    760 /* two years of a user certificate and its backdating */
#define CA_MARGIN_DAYS   30  /* an intermediate ends that long before its root */
#define POLICY_OID_MAX   128
#define ORGANISATION_MAX 64

#define FIELD(name, type, required)                                                                \
    {                                                                                              \
#name, offsetof(struct request, name), type, required                                      \
    }
static const struct json_key fields[] = {
    FIELD(format, JSON_STRING, true),      FIELD(profile, JSON_STRING, true),
    FIELD(country, JSON_STRING, true),     FIELD(organisation, JSON_STRING, true),
    FIELD(root_name, JSON_STRING, true),   FIELD(intermediate_name, JSON_STRING, true),
    FIELD(relay_domains, JSON_LIST, true), FIELD(addresses, JSON_LIST, true),
    FIELD(ca_key_type, JSON_STRING, true), FIELD(user_key_type, JSON_STRING, true),
    FIELD(root_days, JSON_NUMBER, true),   FIELD(intermediate_days, JSON_NUMBER, true),
    FIELD(user_days, JSON_NUMBER, true),   FIELD(crl_url, JSON_STRING, false),
    FIELD(aia_url, JSON_STRING, false),    FIELD(policy_oid, JSON_STRING, true),
    FIELD(csr, JSON_STRING, true),
};
#define N_FIELDS (sizeof fields / sizeof *fields)

static enum err wrong(const char *field, const char *must)
{
    return err_note(ERR_FORMAT, field, "%s", must);
}

static bool is_title(const char *s)
{
    struct bytes text = bytes_of(s);

    return text.len > 0 && text.len <= ORGANISATION_MAX && s[0] != ' ' && s[text.len - 1] != ' ' &&
           utf8_is_printable(text);
}

static bool is_country(const char *s)
{
    return strlen(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z';
}

static bool is_among(const char *s, const char *const *words)
{
    for (; s && *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool is_policy_oid(const char *s)
{
    ASN1_OBJECT *object = NULL;

    if (strlen(s) <= POLICY_OID_MAX && s[strspn(s, "0123456789.")] == '\0')
        object = OBJ_txt2obj(s, 1);
    ASN1_OBJECT_free(object);
    return object != NULL;
}

static enum err check_subjects(const struct request *r)
{
    if (!r->format || strcmp(r->format, REQUEST_FORMAT) != 0)
        return wrong("format", "not a \"" REQUEST_FORMAT "\" file; is the tool up to date?");
    if (!id_is_valid(r->profile))
        return wrong("profile", "not a profile id");
    if (!is_country(r->country))
        return wrong("country", "must be two capital letters");
    if (!is_title(r->organisation))
        return wrong("organisation", "must be 1 to 64 bytes of printable text");
    if (!is_title(r->root_name))
        return wrong("root_name", "must be 1 to 64 bytes of printable text");
    if (!is_title(r->intermediate_name))
        return wrong("intermediate_name", "must be 1 to 64 bytes of printable text");
    if (strcmp(r->root_name, r->intermediate_name) == 0)
        return wrong("intermediate_name", "must differ from root_name");
    return ERR_OK;
}

static enum err check_list(const struct json_list *l, const char *field,
                           bool (*is_good)(const char *), const char *must)
{
    if (l->n == 0 || l->n > REQUEST_NAMES_MAX)
        return wrong(field, "must hold 1 to 16 names");
    for (size_t i = 0; i < l->n; i++) {
        if (!is_good(l->items[i]))
            return wrong(field, must);
        for (size_t j = 0; j < i; j++)
            if (strcmp(l->items[i], l->items[j]) == 0)
                return wrong(field, "holds a name twice");
    }
    return ERR_OK;
}

static enum err check_names(const struct request *r)
{
    enum err e = check_list(&r->relay_domains, "relay_domains", name_is_domain,
                            "must hold domain names in lower case");

    if (!e)
        e = check_list(&r->addresses, "addresses", name_is_address,
                       "must hold mail addresses in lower case");
    for (size_t i = 0; !e && i < r->addresses.n; i++)
        for (size_t j = 0; !e && j < r->relay_domains.n; j++)
            if (strcmp(name_domain_of(r->addresses.items[i]), r->relay_domains.items[j]) == 0)
                e = wrong("addresses", "a mailbox may not lie in a relay domain");
    return e;
}

static enum err check_rest(const struct request *r)
{
    static const char *const ca_types[] = {"p-384", "rsa-3072", NULL};
    static const char *const user_types[] = {"rsa-2048", "rsa-3072", "p-256", NULL};

    if (!is_among(r->ca_key_type, ca_types))
        return wrong("ca_key_type", "must be p-384 or rsa-3072");
    if (!is_among(r->user_key_type, user_types))
        return wrong("user_key_type", "must be rsa-2048, rsa-3072 or p-256");
    if (r->root_days < ROOT_DAYS_MIN || r->root_days > CERT_ROOT_DAYS_MAX)
        return wrong("root_days", "must be 760 to 7305");
    if (r->intermediate_days < 1 || r->intermediate_days > CERT_INTERMEDIATE_DAYS_MAX ||
        r->intermediate_days > r->root_days - CA_MARGIN_DAYS)
        return wrong("intermediate_days", "must be at most 3652, and 30 less than root_days");
    if (r->user_days != 365 && r->user_days != 730)
        return wrong("user_days", "must be 365 or 730");
    if (r->crl_url && !name_is_url(r->crl_url))
        return wrong("crl_url", "must be an http URL");
    if (r->aia_url && !name_is_url(r->aia_url))
        return wrong("aia_url", "must be an http URL");
    if (!is_policy_oid(r->policy_oid))
        return wrong("policy_oid", "must be an object identifier");
    return ERR_OK;
}

enum err request_read(struct bytes text, struct request *out)
{
    struct request r = {0};
    enum err e = text.len <= REQUEST_FILE_MAX_BYTES ? json_read(text, fields, N_FIELDS, &r)
                                                    : wrong("request", "file too long");

    if (!e)
        e = check_subjects(&r);
    if (!e)
        e = check_names(&r);
    if (!e)
        e = check_rest(&r);
    if (e)
        request_clear(&r);
    else
        *out = r;
    return e;
}

void request_clear(struct request *r)
{
    json_clear(fields, N_FIELDS, r);
}

enum err request_csr_key(const struct request *r, EVP_PKEY **key_out)
{
    EVP_PKEY *key = NULL;
    enum err e = key_of_csr(bytes_of(r->csr), &key);

    if (e)
        return e;
    if (!key_is_type(key, r->ca_key_type)) {
        EVP_PKEY_free(key);
        return wrong("csr", "its key is not of the type in ca_key_type");
    }
    *key_out = key;
    return ERR_OK;
}

struct cert_values request_values(const struct request *r)
{
    return (struct cert_values){
        .country = r->country,
        .organisation = r->organisation,
        .common_name = r->intermediate_name,
        .domains = (const char *const *)r->relay_domains.items,
        .n_domains = r->relay_domains.n,
        .addresses = (const char *const *)r->addresses.items,
        .n_addresses = r->addresses.n,
        .policy_oid = r->policy_oid,
        .crl_url = r->crl_url,
        .aia_url = r->aia_url,
    };
}
