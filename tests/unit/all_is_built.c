/* Stands in for the list of what is not built yet, for tests of parts that are ahead of the whole.
 */
#include "config/unbuilt.h"

#include <stddef.h>

const char *config_unbuilt(const char *key, const char *value)
{
    (void)key, (void)value;
    return NULL;
}
