#include "tls/problem.h"

#include <stdio.h>

#include "mbedtls/x509.h"

const char *problem_of_certificate(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *words;
    } table[] = {
        {MBEDTLS_X509_BADCERT_MISSING, "there is no certificate"},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "the certificate is not from the trust anchor"},
        {MBEDTLS_X509_BADCERT_EXPIRED, "the certificate has expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "the certificate is not valid yet"},
        {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "the certificate is for another purpose"},
        {MBEDTLS_X509_BADCERT_KEY_USAGE, "the certificate's key is for another purpose"},
        {MBEDTLS_X509_BADCERT_BAD_MD, "the certificate is signed by too weak a hash"},
        {MBEDTLS_X509_BADCERT_BAD_KEY, "a key of the certificates is too weak"},
        {MBEDTLS_X509_BADCERT_BAD_PK, "the certificate is signed by a method not known here"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (flags & table[i].flag)
            return table[i].words;
    return "the certificate is not in order";
}

static const char *name_of_alert(unsigned alert)
{
    static const struct {
        unsigned alert;
        const char *name;
    } table[] = {
        {MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, "unexpected message"},
        {MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, "bad record MAC"},
        {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "handshake failure"},
        {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "bad certificate"},
        {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "unsupported certificate"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, "certificate revoked"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "certificate expired"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "certificate unknown"},
        {MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, "illegal parameter"},
        {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "unknown authority"},
        {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, "access denied"},
        {MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, "decode error"},
        {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "decrypt error"},
        {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "protocol version"},
        {MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, "insufficient security"},
        {MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, "internal error"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (alert == table[i].alert)
            return table[i].name;
    return "of an unknown kind";
}

/* What the other side has done to earn that result, or NULL. */
static const char *words_of_result(int result)
{
    static const struct {
        int result;
        const char *words;
    } table[] = {
        {MBEDTLS_ERR_SSL_CONN_EOF, "the connection was ended"},
        {MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, "the connection was ended"},
        {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "there is no certificate"},
        {MBEDTLS_ERR_SSL_INVALID_RECORD, "what came is not TLS"},
        {MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO, "what came is not the beginning of TLS"},
        {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "a message came out of turn"},
        {MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION, "no version of TLS is common to both"},
        {MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN, "no cipher is common to both"},
        {MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE, "no cipher is common to both"},
        {MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE, "the certificate is broken"},
        {MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_VERIFY, "the certificate's key was not proved"},
        {MBEDTLS_ERR_SSL_BAD_HS_FINISHED, "the handshake was tampered with"},
        {MBEDTLS_ERR_SSL_INVALID_MAC, "a record was tampered with"},
        {MBEDTLS_ERR_SSL_ALLOC_FAILED, "there is no memory"},
        {MBEDTLS_ERR_X509_ALLOC_FAILED, "there is no memory"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (result == table[i].result)
            return table[i].words;
    return NULL;
}

const char *problem_of_connection(const mbedtls_ssl_context *ssl, int result,
                                  char text[PROBLEM_SIZE])
{
    uint32_t flags = mbedtls_ssl_get_verify_result(ssl);

    if (result == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        snprintf(text, PROBLEM_SIZE, "an alert came: %s", name_of_alert(ssl->in_msg[1]));
        return text;
    }
    if ((result == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
         result == MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE) &&
        flags != 0 && flags != UINT32_MAX)
        return problem_of_certificate(flags);
    const char *words = words_of_result(result);
    if (words)
        return words;
    snprintf(text, PROBLEM_SIZE, "the handshake is wrong (Mbed TLS: -0x%04x)", (unsigned)-result);
    return text;
}
