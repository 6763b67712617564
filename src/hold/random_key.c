#include "hold/random_key.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common/log.h"

struct siphash_key random_key(void)
{
    struct siphash_key key;
    if (getrandom(&key, sizeof key, 0) != (ssize_t)sizeof key) {
        log_error("the kernel gives no random numbers; the process ends");
        abort();
    }
    return key;
}
