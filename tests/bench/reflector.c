/* The least that a UDP server can do: says of each query that it is a response and sends it back.
 * What a DNS server needs beyond this is its own doing.
 *
 *   reflector ADDRESS PORT [THREADS] */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH       64
#define PACKET_SIZE (21 * 64)

static struct sockaddr_in listener;

static int open_socket(void)
{
    int on = 1, descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&listener, sizeof listener) != 0) {
        perror("reflector");
        exit(1);
    }
    return descriptor;
}

static void *reflect(void *argument)
{
    static _Thread_local uint8_t packets[BATCH][PACKET_SIZE];
    static _Thread_local struct sockaddr_in clients[BATCH];
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    int descriptor = open_socket();
    (void)argument;

    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){packets[i], PACKET_SIZE};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &clients[i],
                                             .msg_namelen = sizeof clients[i],
                                             .msg_iov = &parts[i],
                                             .msg_iovlen = 1};
    }
    for (;;) {
        int received = recvmmsg(descriptor, headers, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < received; i++) {
            packets[i][2] |= 0x80;
            parts[i].iov_len = headers[i].msg_len;
        }
        if (received > 0)
            sendmmsg(descriptor, headers, (unsigned)received, 0);
        else if (errno != EINTR)
            return NULL;
        for (int i = 0; i < received; i++) {
            parts[i].iov_len = PACKET_SIZE;
            headers[i].msg_hdr.msg_namelen = sizeof clients[i];
        }
    }
}

int main(int argc, char **argv)
{
    listener.sin_family = AF_INET;
    if (argc < 3 || inet_pton(AF_INET, argv[1], &listener.sin_addr) != 1) {
        fprintf(stderr, "usage: reflector ADDRESS PORT [THREADS]\n");
        return 2;
    }
    listener.sin_port = htons((uint16_t)atoi(argv[2]));
    for (int threads = argc > 3 ? atoi(argv[3]) : 1; threads > 1; threads--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, reflect, NULL) != 0)
            return 1;
    }
    reflect(NULL);
    return 1;
}
