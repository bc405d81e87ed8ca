/* Questions to the system's user database. Everything here may block for as long as a far server likes. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/users.h"

#define ENTRY_MAX (1024u * 1024) /* bytes of one entry: a group may have very many members */

void user_ids_deinit(struct user_ids *ids)
{
    free(ids->name);
    free(ids->home);
    ids->name = ids->home = NULL;
}

/* A number of a user or group. The highest one means "leave as it is" to the kernel: the app would keep the
 * daemon's rights. */
static bool is_number(const char *word, uint32_t *id)
{
    unsigned long long n = 0;

    if (!*word || strlen(word) > 10 || word[strspn(word, "0123456789")])
        return false;
    n = strtoull(word, NULL, 10);
    *id = (uint32_t)n;
    return n < UINT32_MAX;
}

/* The ways in which different databases say that there is no such entry; see getpwnam(3). */
static bool means_none(int rc)
{
    return rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM;
}

/* 1 with the entry in `out`, whose strings are in `*buf`; 0 when there is none; negative errno. */
static int find_user(const char *word, bool number, uint32_t id, struct passwd *out, char **buf)
{
    for (size_t size = 4096;; size *= 4) {
        struct passwd *found = NULL;
        int rc;

        free(*buf);
        *buf = xcalloc(1, size);
        rc = number ? getpwuid_r(id, out, *buf, size, &found) : getpwnam_r(word, out, *buf, size, &found);
        if (found)
            return 1;
        if (rc != ERANGE || size > ENTRY_MAX)
            return means_none(rc) ? 0 : -rc;
    }
}

static int find_group(const char *word, uint32_t *gid)
{
    for (size_t size = 4096;; size *= 4) {
        _cleanup_free_ char *buf = xcalloc(1, size);
        struct group group, *found = NULL;
        int rc = getgrnam_r(word, &group, buf, size, &found);

        if (found) {
            *gid = found->gr_gid;
            return 1;
        }
        if (rc != ERANGE || size > ENTRY_MAX)
            return means_none(rc) ? 0 : -rc;
    }
}

static int set_user(const char *word, struct user_ids *out, struct err *e)
{
    _cleanup_free_ char *buf = NULL;
    struct passwd pw;
    uint32_t id = 0;
    bool number = is_number(word, &id);
    int rc = find_user(word, number, id, &pw, &buf);

    if (rc < 0)
        return err_set(e, rc, "cannot look up the user \"%s\": %s", word, strerror(-rc));
    if (rc == 0 && !number)
        return err_set(e, -ENOENT, "there is no user \"%s\"", word);
    out->uid = rc ? pw.pw_uid : id;
    if (rc) {
        out->gid = pw.pw_gid;
        out->name = xstrdup(pw.pw_name);
        out->home = xstrdup(pw.pw_dir);
    }
    return 0;
}

static int set_group(const char *word, struct user_ids *out, struct err *e)
{
    uint32_t id = 0;
    int rc = 1;

    if (!is_number(word, &id))
        rc = find_group(word, &id);
    if (rc < 0)
        return err_set(e, rc, "cannot look up the group \"%s\": %s", word, strerror(-rc));
    if (rc == 0)
        return err_set(e, -ENOENT, "there is no group \"%s\"", word);
    out->gid = id;
    return 0;
}

int users_ask(const char *uid, const char *gid, struct user_ids *out, struct err *e)
{
    gid_t groups[SPAWN_GROUPS_MAX];
    int n = SPAWN_GROUPS_MAX, rc = 0;

    *out = (struct user_ids){.uid = geteuid(), .gid = getegid()};
    if (uid)
        rc = set_user(uid, out, e);
    if (rc == 0 && gid)
        rc = set_group(gid, out, e);
    if (rc < 0)
        return rc;
    out->groups[0] = out->gid;
    out->ngroups = 1;
    if (!out->name)
        return 0;
    if (getgrouplist(out->name, out->gid, groups, &n) < 0)
        return err_set(e, -E2BIG, "user \"%s\" is in more than %d groups", out->name, SPAWN_GROUPS_MAX);
    out->ngroups = (uint32_t)n;
    for (int i = 0; i < n; i++)
        out->groups[i] = groups[i];
    return 0;
}
