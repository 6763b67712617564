/* What the machine is given to hold and to prove itself by: files of the boot module. */
#ifndef JITSU_PINATA_CONTENTS_H
#define JITSU_PINATA_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "tls/tls.h"

struct contents {
    struct tls_identity *identity;
    struct tls_text secret, authority; /* in the boot module */
};

/* Reads the boot module. Whatever is missing or wrong in it ends the machine with its name. */
void contents_open(struct contents *contents);

#endif
