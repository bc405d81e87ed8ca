#include "daemon/unstored.h"

enum unstored_act unstored_judge(const struct unstored *u)
{
    bool never_stored = u->run > u->last_run;

    if (u->superseded || (u->over && u->acked))
        return UNSTORED_LEAVE;
    if (u->damaged)
        return u->over ? UNSTORED_LEAVE : UNSTORED_TAKE;
    if (never_stored)
        return UNSTORED_TAKE; /* also when it is over: what follows from its end is to be done */
    return u->over ? UNSTORED_LEAVE : UNSTORED_END;
}
