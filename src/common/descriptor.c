#include "common/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one passed descriptor, aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

int descriptor_send(int socket, const void *bytes, size_t length, int passed)
{
    union ancillary ancillary;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (passed != -1) {
        memset(&ancillary, 0, sizeof ancillary);
        message.msg_control = &ancillary;
        message.msg_controllen = sizeof ancillary;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

ssize_t descriptor_receive(int socket, void *bytes, size_t capacity, int *passed)
{
    union ancillary ancillary;
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &ancillary,
                             /* Not CMSG_SPACE, which has room for a second one that would leak. */
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    *passed = -1;
    ssize_t length;
    do
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;

    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(passed, CMSG_DATA(header), sizeof *passed);
    if (message.msg_flags & MSG_TRUNC) {
        descriptor_close(passed);
        errno = EMSGSIZE;
        return -1;
    }
    return length;
}

void descriptor_close(int *descriptor)
{
    if (*descriptor != -1)
        close(*descriptor);
    *descriptor = -1;
}

/* What the kernel allows at most to anybody. */
static rlim_t kernel_limit(void)
{
    unsigned long long most = 0;
    FILE *file = fopen("/proc/sys/fs/nr_open", "re");
    if (!file || fscanf(file, "%llu", &most) != 1)
        most = 0;
    if (file)
        fclose(file);
    return (rlim_t)most;
}

size_t descriptor_raise_limit(void)
{
    struct rlimit limit, most = {.rlim_cur = kernel_limit(), .rlim_max = kernel_limit()};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (most.rlim_max > limit.rlim_max && setrlimit(RLIMIT_NOFILE, &most) == 0)
        return most.rlim_cur;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}
