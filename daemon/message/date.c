/* SPDX-License-Identifier: GPL-3.0-or-later */
/* date.c - read and write the date-time of RFC 5322, with the obsolete forms of its section 4.3.
 *
 * The value decides on signingTime, so that a client finds header and signature agreeing. */
#include "daemon/message/date.h"
#include "daemon/message/message.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define DATE_MAX_BYTES 512u
#define YEAR_MIN       1900
#define YEAR_MAX       9999
#define LETTERS        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define COUNT(a)       (sizeof(a) / sizeof(a)[0])

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static const struct {
    const char *name;
    int offset_min;
} zones[] = {{"EST", -300}, {"EDT", -240}, {"CST", -360}, {"CDT", -300},
             {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420}};

/* A reader at a place in a NUL-terminated text of blanks and printable bytes. */
struct reader {
    const char *at;
};

static void blanks_skip(struct reader *r)
{
    r->at += strspn(r->at, " ");
}

static bool char_read(struct reader *r, char c)
{
    blanks_skip(r);
    if (*r->at != c)
        return false;
    r->at++;
    blanks_skip(r);
    return true;
}

/* A number of min to max digits; how many there were, 0 when there is none such. */
static size_t number_read(struct reader *r, size_t min, size_t max, int *value)
{
    size_t n = strspn(r->at, "0123456789");

    if (n < min || n > max)
        return 0;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value = *value * 10 + (*r->at++ - '0');
    return n;
}

static bool month_read(struct reader *r, int *month)
{
    blanks_skip(r);
    for (size_t i = 0; i < COUNT(month_names); i++)
        if (strncasecmp(r->at, month_names[i], 3) == 0 && strspn(r->at, LETTERS) == 3) {
            *month = (int)i;
            r->at += 3;
            return true;
        }
    return false;
}

/* Two digits up to 49 are 20xx; other two and three digits count from 1900 (RFC 5322 4.3). */
static bool year_read(struct reader *r, int *year)
{
    size_t digits;

    blanks_skip(r);
    digits = number_read(r, 2, 4, year);
    if (digits == 2 && *year < 50)
        *year += 2000;
    else if (digits == 2 || digits == 3)
        *year += 1900;
    return digits && *year >= YEAR_MIN && *year <= YEAR_MAX;
}

static bool time_read(struct reader *r, struct tm *tm)
{
    blanks_skip(r);
    if (!number_read(r, 1, 2, &tm->tm_hour) || !char_read(r, ':') ||
        !number_read(r, 1, 2, &tm->tm_min))
        return false;
    if (char_read(r, ':') && !number_read(r, 1, 2, &tm->tm_sec))
        return false;
    return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

static bool zone_digits_read(struct reader *r, int *offset_min)
{
    int sign = *r->at++ == '-' ? -1 : 1;
    int hhmm;

    if (number_read(r, 4, 4, &hhmm) != 4 || hhmm % 100 > 59 || hhmm > 2359)
        return false;
    *offset_min = sign * (hhmm / 100 * 60 + hhmm % 100);
    return true;
}

/* No zone and an unknown name both mean -0000 (RFC 5322 4.3). */
static bool zone_read(struct reader *r, int *offset_min)
{
    size_t n;

    blanks_skip(r);
    *offset_min = 0;
    if (*r->at == '+' || *r->at == '-')
        return zone_digits_read(r, offset_min);
    n = strspn(r->at, LETTERS);
    for (size_t i = 0; i < COUNT(zones); i++)
        if (n == 3 && strncasecmp(r->at, zones[i].name, 3) == 0)
            *offset_min = zones[i].offset_min;
    r->at += n;
    return true;
}

/* "Sun," or, sloppier but seen, "Sun". */
static void day_name_skip(struct reader *r)
{
    blanks_skip(r);
    r->at += strspn(r->at, LETTERS);
    (void)char_read(r, ',');
}

static bool days_fit(const struct tm *tm)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = tm->tm_year + 1900;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return tm->tm_mday >= 1 && tm->tm_mday <= lengths[tm->tm_mon] + (leap && tm->tm_mon == 1);
}

static bool date_read(struct reader *r, struct date *out)
{
    struct tm tm = {0};
    int year = 0;

    day_name_skip(r);
    if (!number_read(r, 1, 2, &tm.tm_mday) || !month_read(r, &tm.tm_mon) || !year_read(r, &year))
        return false;
    tm.tm_year = year - 1900;
    if (!days_fit(&tm) || !time_read(r, &tm) || !zone_read(r, &out->offset_min))
        return false;
    blanks_skip(r);
    out->time_s = (int64_t)timegm(&tm) - (int64_t)out->offset_min * 60;
    return *r->at == '\0';
}

/* Comments become blanks; one that never ends reaches to the end of the text. */
static void comments_blank(char *s)
{
    unsigned depth = 0;

    for (; *s; s++) {
        bool close = *s == ')' && depth;

        if (*s == '(')
            depth++;
        if (depth && *s == '\\' && s[1])
            *s++ = ' ';
        if (depth)
            *s = ' ';
        if (close)
            depth--;
    }
}

enum err date_parse(struct bytes value, struct date *out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    struct date date = {0};
    struct reader r;
    enum err e;

    if (value.len > DATE_MAX_BYTES)
        return ERR_FORMAT;
    e = message_unfold(value, &text);
    if (e)
        return e;
    if (!text.len || memchr(text.data, '\0', text.len))
        return ERR_FORMAT;
    comments_blank((char *)text.data);
    r.at = (const char *)text.data;
    if (!date_read(&r, &date))
        return ERR_FORMAT;
    *out = date;
    return ERR_OK;
}

void date_append(struct buf *out, const struct date *d)
{
    time_t local = (time_t)(d->time_s + (int64_t)d->offset_min * 60);
    int offset = d->offset_min < 0 ? -d->offset_min : d->offset_min;
    struct tm tm;

    if (!gmtime_r(&local, &tm)) {
        out->failed = true;
        return;
    }
    buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", day_names[tm.tm_wday], tm.tm_mday,
               month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
               d->offset_min < 0 ? '-' : '+', offset / 60, offset % 60);
}
