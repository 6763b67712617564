#include "platform/arrivals.h"

#include "platform/platform.h"

static uint64_t count, first_stamp;
static enum stream_origin first_origin;

void arrivals_add(enum stream_origin origin)
{
    if (count++ > 0)
        return;
    first_stamp = platform_stamp();
    first_origin = origin;
}

struct stream_arrivals stream_arrivals(void)
{
    return (struct stream_arrivals){
        .count = count,
        .first_time = count > 0 ? platform_stamp_time(first_stamp) : 0,
        .first_origin = first_origin,
    };
}
