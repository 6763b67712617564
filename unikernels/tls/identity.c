/* Certificates and keys: read, checked, and made into the settings of connections. */
#include "tls/identity.h"

#include <stdlib.h>
#include <string.h>

#include "jitsu/random.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/x509_crt.h"
#include "tls/problem.h"

#define PEM_CERTIFICATE "-----BEGIN CERTIFICATE-----"
#define PEM_KEY         "PRIVATE KEY-----"

struct tls_identity {
    mbedtls_x509_crt authority, chain;
    mbedtls_pk_context key;
    mbedtls_ssl_config settings[2]; /* by enum tls_side */
};

static int random_of_mbedtls(void *unused, unsigned char *bytes, size_t length)
{
    (void)unused;
    random_bytes(bytes, length);
    return 0;
}

/* The reading functions return NULL, or what is wrong. Their texts are ended by a NUL, which counts
 * for `size`. */
static const char *read_certificates(mbedtls_x509_crt *chain, const char *text, size_t size)
{
    if (!strstr(text, PEM_CERTIFICATE))
        return "is not a certificate in PEM";
    int result = mbedtls_x509_crt_parse(chain, (const uint8_t *)text, size);
    if (result == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return "is too large for this much memory";
    return result == 0 ? NULL : "holds a certificate that is broken or of a kind not known here";
}

static const char *read_authority(struct tls_identity *identity, const char *text, size_t size)
{
    const char *problem = read_certificates(&identity->authority, text, size);

    if (problem)
        return problem;
    if (identity->authority.next)
        return "holds more than one certificate";
    /* The first version of X.509 had no word for it. */
    if (identity->authority.version > 1 && !identity->authority.ca_istrue)
        return "is not the certificate of an authority";
    return NULL;
}

static const char *read_chain(struct tls_identity *identity, const char *text, size_t size)
{
    return read_certificates(&identity->chain, text, size);
}

static const char *read_key(struct tls_identity *identity, const char *text, size_t size)
{
    if (!strstr(text, PEM_KEY))
        return "is not a private key in PEM";
    if (strstr(text, "ENCRYPTED"))
        return "is encrypted";
    if (mbedtls_pk_parse_key(&identity->key, (const uint8_t *)text, size, NULL, 0) != 0)
        return "is broken or of a kind not known here";
    if (mbedtls_pk_check_pair(&identity->chain.pk, &identity->key) != 0)
        return "does not belong to the certificate";
    return NULL;
}

static const char *read_part(struct tls_identity *identity, enum tls_part part,
                             const struct tls_text *from)
{
    static const char *(*const read[TLS_PARTS])(struct tls_identity *, const char *, size_t) = {
        [TLS_AUTHORITY] = read_authority, [TLS_CERTIFICATE] = read_chain, [TLS_KEY] = read_key};
    char *text = malloc(from->length + 1);

    if (!text)
        return "is too large for this much memory";
    memcpy(text, from->bytes, from->length);
    text[from->length] = '\0';
    const char *problem = read[part](identity, text, from->length + 1);
    mbedtls_platform_zeroize(text, from->length);
    free(text);
    return problem;
}

static bool make_settings(struct tls_identity *identity, enum tls_side side)
{
    mbedtls_ssl_config *settings = &identity->settings[side];

    if (mbedtls_ssl_config_defaults(
            settings, side == TLS_SERVER ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return false;
    mbedtls_ssl_conf_rng(settings, random_of_mbedtls, NULL);
    mbedtls_ssl_conf_authmode(settings, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_cert_profile(settings, &mbedtls_x509_crt_profile_next);
    mbedtls_ssl_conf_ca_chain(settings, &identity->authority, NULL);
    return mbedtls_ssl_conf_own_cert(settings, &identity->chain, &identity->key) == 0;
}

static void identity_free(struct tls_identity *identity)
{
    mbedtls_ssl_config_free(&identity->settings[TLS_CLIENT]);
    mbedtls_ssl_config_free(&identity->settings[TLS_SERVER]);
    mbedtls_pk_free(&identity->key);
    mbedtls_x509_crt_free(&identity->chain);
    mbedtls_x509_crt_free(&identity->authority);
    free(identity);
}

struct tls_identity *tls_identity_open(const struct tls_text texts[TLS_PARTS], enum tls_part *part,
                                       const char **problem)
{
    struct tls_identity *identity = calloc(1, sizeof *identity);

    *part = TLS_AUTHORITY;
    *problem = "cannot be read: no memory";
    if (!identity)
        return NULL;
    mbedtls_x509_crt_init(&identity->authority);
    mbedtls_x509_crt_init(&identity->chain);
    mbedtls_pk_init(&identity->key);
    mbedtls_ssl_config_init(&identity->settings[TLS_SERVER]);
    mbedtls_ssl_config_init(&identity->settings[TLS_CLIENT]);
    for (; *part < TLS_PARTS; ++*part) {
        *problem = read_part(identity, *part, &texts[*part]);
        if (*problem) {
            identity_free(identity);
            return NULL;
        }
    }
    if (make_settings(identity, TLS_SERVER) && make_settings(identity, TLS_CLIENT))
        return identity;
    *part = TLS_KEY;
    *problem = "cannot be used: no memory";
    identity_free(identity);
    return NULL;
}

const char *tls_identity_doubt(const struct tls_identity *identity)
{
    const mbedtls_x509_crt *certificate = &identity->chain;
    const mbedtls_x509_buf *authority = &identity->authority.subject_raw;
    const mbedtls_x509_buf *issuer;

    do {
        if (mbedtls_x509_time_is_past(&certificate->valid_to))
            return problem_of_certificate(MBEDTLS_X509_BADCERT_EXPIRED);
        if (mbedtls_x509_time_is_future(&certificate->valid_from))
            return problem_of_certificate(MBEDTLS_X509_BADCERT_FUTURE);
        issuer = &certificate->issuer_raw;
        certificate = certificate->next;
    } while (certificate);
    if (issuer->len != authority->len || memcmp(issuer->p, authority->p, issuer->len) != 0)
        return problem_of_certificate(MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    return NULL;
}

const mbedtls_ssl_config *identity_settings(const struct tls_identity *identity, enum tls_side side)
{
    return &identity->settings[side];
}
