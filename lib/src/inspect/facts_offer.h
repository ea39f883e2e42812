/* facts_offer.h - what the chosen kernel offers: its modules under every name that modprobe takes */
#ifndef P2H_INSPECT_FACTS_OFFER_H
#define P2H_INSPECT_FACTS_OFFER_H

#include "base/buf.h"

struct facts_offer {
	struct strlist modules; /* modules.dep, modules.builtin and plain aliases of both ("ipt_ttl"), with '_', sorted */
	struct strlist builtin; /* of these, what modules.builtin names; empty also where there is no such file (kernels before 2.6.33) */
};
void offer_done(struct facts_offer *o);

#endif
