/* probe.h - the calls into libblkid and libfdisk, inside volume/ only */
#ifndef P2H_VOLUME_PROBE_H
#define P2H_VOLUME_PROBE_H

#include "volume/volume.h"

/* Fills content, uuid and label of v from what lies in [v->off, v->off + v->len). */
int probe_signature(struct disk *d, struct volume *v, struct p2h_error *err);

/* Fills table, table_id and the partitions of v; no table is no error. */
int probe_table(struct disk *d, struct volumes *v, struct p2h_error *err);

#endif
