/*
 * planfixture.h - facts by hand: a whole-disk guest and a donor that fit each other; a test changes what it is about
 */
#ifndef P2H_TEST_PLANFIXTURE_H
#define P2H_TEST_PLANFIXTURE_H

#include "plan/planner.h"

#define PLANFIXTURE_DRIVERS "CONFIG_XEN_PVHVM=y\nCONFIG_XEN_NETDEV_FRONTEND=y\nCONFIG_ENA_ETHERNET=y\nCONFIG_VIRTIO_NET=y\n"
#define PLANFIXTURE_UUID "6b1c1c0e-55f1-4a86-9d0c-0d6f2c9b7a11"

struct planfixture {
	struct facts facts;
	struct volume volume[3];
	struct facts_file file[8];
	struct facts_kernel own[2];
	struct p2h_options options;
	struct plan plan;
	uint8_t boot_img[512], core[1024];
};

void planfixture_init(struct planfixture *x);
void planfixture_config(struct planfixture *x, const char *text); /* the donor kernel's */
void planfixture_file(struct planfixture *x, const char *path, const char *text);
void planfixture_link(struct planfixture *x, const char *path, const char *target);
void planfixture_make(struct planfixture *x);

/* The first one of a rule (and on a path, NULL: any); NULL if there is none. */
const struct action *planfixture_action(const struct planfixture *x, const char *rule, const char *path);
const struct finding *planfixture_finding(const struct planfixture *x, const char *rule);

#endif
