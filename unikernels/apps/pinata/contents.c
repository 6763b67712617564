#include "pinata/contents.h"

#include <string.h>

#include "jitsu/application.h"
#include "jitsu/console.h"
#include "jitsu/module.h"
#include "site/site.h"

#define SECRET_FILE "secret"

static const char *const part_files[TLS_PARTS] = {
    [TLS_AUTHORITY] = "ca.pem", [TLS_CERTIFICATE] = "cert.pem", [TLS_KEY] = "key.pem"};

static struct tls_text file(const struct site *files, const char *name)
{
    const struct site_file *found = site_find(files, "/", 1, name);

    if (!found)
        application_fail("the boot module holds no file %s", name);
    if (found->size == 0)
        application_fail("the boot module's %s is empty", name);
    return (struct tls_text){found->bytes, found->size};
}

static struct site *open_module(void)
{
    struct boot_module module = boot_module();
    const char *problem;
    size_t position;

    if (!module.bytes)
        application_fail("there is no boot module: an archive with ca.pem, cert.pem, key.pem and "
                         "secret is expected");
    struct site *files = site_open(module.bytes, module.length, &problem, &position);
    if (!files)
        application_fail("the boot module: %s (at byte %zu of %zu)", problem, position,
                         module.length);
    return files;
}

void contents_open(struct contents *contents)
{
    struct site *files = open_module();
    struct tls_text texts[TLS_PARTS];
    enum tls_part part;
    const char *problem;

    for (unsigned i = 0; i < TLS_PARTS; i++)
        texts[i] = file(files, part_files[i]);
    contents->authority = texts[TLS_AUTHORITY];
    contents->secret = file(files, SECRET_FILE);
    contents->identity = tls_identity_open(texts, &part, &problem);
    if (!contents->identity)
        application_fail("the boot module's %s %s", part_files[part], problem);
    site_free(files);

    const char *doubt = tls_identity_doubt(contents->identity);
    if (doubt)
        console_print("pinata: others will refuse cert.pem: %s\n", doubt);
}
