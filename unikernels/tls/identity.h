/* What an identity is to the rest of this room. */
#ifndef JITSU_TLS_IDENTITY_H
#define JITSU_TLS_IDENTITY_H

#include "mbedtls/ssl.h"
#include "tls/tls.h"

/* The settings of connections on that side, which live as long as the identity. */
const mbedtls_ssl_config *identity_settings(const struct tls_identity *identity,
                                            enum tls_side side);

#endif
