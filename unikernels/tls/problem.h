/* Words for what may be wrong with a connection, as the end of a sentence. */
#ifndef JITSU_TLS_PROBLEM_H
#define JITSU_TLS_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "mbedtls/ssl.h"

#define PROBLEM_SIZE 80

/* The worst of the things that are wrong with a certificate (MBEDTLS_X509_BADCERT_...). */
const char *problem_of_certificate(uint32_t flags);

/* Why `ssl` has failed with that result of Mbed TLS's. Returns `text` or a constant. */
const char *problem_of_connection(const mbedtls_ssl_context *ssl, int result,
                                  char text[PROBLEM_SIZE]);

#endif
