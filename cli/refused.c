#include "cli/refused.h"

#include <stddef.h>
#include <string.h>

#include "common/mem.h"

#define HOSTED  "it is about PM2's hosted dashboard; pm list, pm describe and pm logs show what there is"
#define MODULES "there are no modules; what they do is a program of its own: pm start it"
#define DEPLOY  "it deploys by git over ssh; use your own tool for that, then pm reload"
#define LATER   "not in this version yet; "

/* A name that ends in ':' stands for all that begin so. */
static const struct {
    const char *name, *instead;
} refused[] = {
    {"link", HOSTED},
    {"unlink", HOSTED},
    {"plus", HOSTED},
    {"login", HOSTED},
    {"logout", HOSTED},
    {"register", HOSTED},
    {"monitor", HOSTED},
    {"unmonitor", HOSTED},
    {"open", HOSTED},
    {"web", "it is about PM2's HTTP interface; pm jlist prints the same"},
    {"install", MODULES},
    {"uninstall", MODULES},
    {"module:", MODULES},
    {"publish", MODULES},
    {"package", MODULES},
    {"deploy", DEPLOY},
    {"profile:", "it profiles PM2's own daemon; for an app: pm start app.js --node-args=--cpu-prof"},
    {"install-otel", "it is about tracing inside Node; give the app --node-args=\"--require ...\" instead"},
    {"uninstall-otel", "it is about tracing inside Node, which is not done here"},
    {"autoinstall", "it installs modules; programs are installed by their own package manager"},
    {"create", "it makes a folder from a template of PM2's; pm help start shows how to write a config file"},
    {"deepUpdate", "it installs a package; install pm as you did before, then pm update"},
    {"startup", LATER "a systemd unit that runs pmd --no-daemon does it"},
    {"unstartup", LATER "remove the systemd unit that runs pmd"},
    {"serve", LATER "start a web server of your own: pm start \"python3 -m http.server 8080\""},
    {"expose", LATER "start a web server of your own: pm start \"python3 -m http.server 8080\""},
    {"inspect", LATER "pm start app.js --node-args=--inspect, then connect to its port"},
    {"pull", LATER "git pull, then pm reload"},
    {"forward", LATER "git checkout, then pm reload"},
    {"backward", LATER "git checkout, then pm reload"},
    {"ecosystem", LATER "pm help start shows how to write a config file"},
    {"init", LATER "pm help start shows how to write a config file"},
    {"slist", LATER "pm report prints the system's limits"},
    {"sysinfos", LATER "pm report prints the system's limits"},
    {"completion", LATER "pm help lists the commands"},
};

const char *refused_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        size_t len = strlen(refused[i].name);

        if (refused[i].name[len - 1] == ':' ? strncmp(word, refused[i].name, len) == 0
                                            : strcmp(word, refused[i].name) == 0)
            return refused[i].instead;
    }
    return NULL;
}

const char *refused_command_at(size_t i, const char **instead)
{
    if (i >= ARRAY_LEN(refused))
        return NULL;
    *instead = refused[i].instead;
    return refused[i].name;
}
