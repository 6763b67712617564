#include "platform/unix/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSENT_MOST (128 * 1024)

void socket_set_options(int socket)
{
    const int on = 1, unsent_most = UNSENT_MOST;

    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* Deadlines are about what the client has got: there should be room again as it gets more, not
     * only when a large buffer has emptied. */
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_most, sizeof unsent_most);
}

size_t socket_unacknowledged(int socket, bool end_sent)
{
    int count = 0;

    if (ioctl(socket, SIOCOUTQ, &count) != 0 || count <= 0)
        return 0;
    /* The end counts as a byte. */
    return (size_t)(end_sent ? count - 1 : count);
}

void socket_close(int socket)
{
    close(socket);
}

void socket_reset(int socket)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(socket);
}
