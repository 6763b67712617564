/* An xl.cfg that anybody may have written. Which settings there are is found out by our own
 * scanner, and what they are by libxlutil: both must agree that something is there. */
#include <stdlib.h>

#include "keeper/xen/xl_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
const char *__lsan_default_suppressions(void);

/* libxlutil forgets values of a statement that turns out to be wrong. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil.so";
}

static void ignore(void *argument, const char *text)
{
    (void)argument, (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct xl_file file;
    if (xl_file_parse((const char *)bytes, length, "fuzz.cfg", &file, ignore, NULL) != 0)
        return 0;
    if (!file.kernel || file.kernel[0] != '/' || file.memory == 0)
        abort();
    xl_file_free(&file);
    return 0;
}
