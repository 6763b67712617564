/* A bad wire between two TAP devices: it loses, doubles, delays and reorders frames.
 *
 *     lab-lossy_wire NEAR FAR [-l LOSS] [-d DOUBLED] [-r REORDERED] [-t MILLISECONDS] [-n]
 *                    [-S SEED]
 *
 * NEAR is made here, for this host; FAR is there already, and a machine is on it. LOSS, DOUBLED and
 * REORDERED are per 1000 frames. Every frame is late by MILLISECONDS, a reordered one by up to five
 * times as much. With -n, ARP and neighbour discovery pass at once and unharmed, as if the bad wire
 * were beyond a router. Runs until its standard input ends, then tells what it did. Frames keep the
 * headers that say what of checksums and segments is left to do, so that these may be offloaded. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX   (sizeof(struct virtio_net_hdr) + 66000)
#define WAITING_MAX 4096 /* frames; more are lost */

/* A frame on its way, with its virtio_net_hdr. */
struct frame {
    uint64_t due;    /* nanoseconds */
    uint64_t number; /* those that are due together stay in their order */
    int to;
    size_t length;
    uint8_t *bytes;
};

/* A heap: the frame that is due first is first. */
static struct frame waiting[WAITING_MAX];
static size_t waiting_count;
static unsigned loss, doubled, reordered;
static bool neighbours_are_near;
static uint64_t delay;
static uint64_t random_state = 1;
static unsigned long long passed, lost, twice, late;

static void fail(const char *what)
{
    fprintf(stderr, "lossy_wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_nanoseconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static unsigned roll(unsigned most)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % most;
}

static int make_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0)
        fail(name);
    return tap;
}

/* All frames on a device, in and out. */
static int open_device(const char *name)
{
    const int yes = 1, size = 8 << 20;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(name),
    };
    int device = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (device < 0 || address.sll_ifindex == 0 ||
        setsockopt(device, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) != 0 ||
        setsockopt(device, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
        (setsockopt(device, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 &&
         setsockopt(device, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0) ||
        bind(device, (struct sockaddr *)&address, sizeof address) != 0)
        fail(name);
    return device;
}

static bool is_before(size_t a, size_t b)
{
    return waiting[a].due != waiting[b].due ? waiting[a].due < waiting[b].due
                                            : waiting[a].number < waiting[b].number;
}

static void swap(size_t a, size_t b)
{
    struct frame frame = waiting[a];

    waiting[a] = waiting[b];
    waiting[b] = frame;
}

static void add(const uint8_t *bytes, size_t length, int to, uint64_t due)
{
    static uint64_t number;
    size_t at = waiting_count;

    if (waiting_count == WAITING_MAX) {
        lost++;
        return;
    }
    waiting[waiting_count++] = (struct frame){due, number++, to, length, malloc(length)};
    if (!waiting[at].bytes)
        fail("a frame");
    memcpy(waiting[at].bytes, bytes, length);
    for (; at > 0 && is_before(at, (at - 1) / 2); at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

static void remove_first(void)
{
    free(waiting[0].bytes);
    waiting[0] = waiting[--waiting_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < waiting_count; child++)
            if (is_before(child, least))
                least = child;
        if (least == at)
            return;
        swap(at, least);
        at = least;
    }
}

/* Is it ARP or neighbour discovery? */
static bool is_of_neighbours(const uint8_t *bytes, size_t length)
{
    const uint8_t *frame = bytes + sizeof(struct virtio_net_hdr);
    const uint8_t *packet = frame + ETH_HLEN;

    if (length < sizeof(struct virtio_net_hdr) + ETH_HLEN + 28)
        return false;
    if (frame[12] == 0x08 && frame[13] == 0x06)
        return true;
    return length > sizeof(struct virtio_net_hdr) + ETH_HLEN + 40 && frame[12] == 0x86 &&
           frame[13] == 0xdd && packet[6] == IPPROTO_ICMPV6 && packet[40] >= ND_ROUTER_SOLICIT &&
           packet[40] <= ND_REDIRECT;
}

/* What happens to a frame on this wire. */
static void carry(const uint8_t *bytes, size_t length, int to, uint64_t now)
{
    uint64_t due = now + delay;

    if (neighbours_are_near && is_of_neighbours(bytes, length)) {
        passed++;
        add(bytes, length, to, now);
        return;
    }
    if (roll(1000) < loss) {
        lost++;
        return;
    }
    passed++;
    if (roll(1000) < reordered) {
        due += roll(1000) * (delay * 4 / 1000);
        late++;
    }
    add(bytes, length, to, due);
    if (roll(1000) < doubled) {
        add(bytes, length, to, due + delay / 2);
        twice++;
    }
}

static void take_frames(int from, int to, uint64_t now)
{
    static uint8_t bytes[FRAME_MAX];
    ssize_t length;

    while ((length = read(from, bytes, sizeof bytes)) > 0)
        carry(bytes, (size_t)length, to, now);
}

static void give_frames(uint64_t now)
{
    while (waiting_count > 0 && waiting[0].due <= now) {
        /* Where the other side has no room, that is one more that is lost. */
        if (write(waiting[0].to, waiting[0].bytes, waiting[0].length) < 0)
            lost++;
        remove_first();
    }
}

static void run(int near, int far)
{
    struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = near, .events = POLLIN},
                             {.fd = far, .events = POLLIN}};

    while (!(ready[0].revents & (POLLIN | POLLHUP))) {
        uint64_t now = clock_nanoseconds();
        uint64_t wait = waiting_count == 0     ? 1000000000u
                        : waiting[0].due > now ? waiting[0].due - now
                                               : 0;
        const struct timespec most = {.tv_sec = (time_t)(wait / 1000000000u),
                                      .tv_nsec = (long)(wait % 1000000000u)};
        if (ppoll(ready, 3, &most, NULL) < 0)
            fail("ppoll");
        now = clock_nanoseconds();
        take_frames(near, far, now);
        take_frames(far, near, now);
        give_frames(now);
    }
}

int main(int argument_count, char **arguments)
{
    int option;

    while ((option = getopt(argument_count, arguments, "l:d:r:t:nS:")) != -1) {
        if (option == 'l')
            loss = (unsigned)atoi(optarg);
        else if (option == 'd')
            doubled = (unsigned)atoi(optarg);
        else if (option == 'r')
            reordered = (unsigned)atoi(optarg);
        else if (option == 't')
            delay = (uint64_t)(atof(optarg) * 1e6);
        else if (option == 'n')
            neighbours_are_near = true;
        else if (option == 'S')
            random_state = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (argument_count - optind != 2) {
        fprintf(stderr, "usage: lab-lossy_wire NEAR FAR [-l LOSS] [-d DOUBLED] [-r REORDERED] "
                        "[-t MILLISECONDS] [-n] [-S SEED]\n");
        return 2;
    }
    int near = make_tap(arguments[optind]), far = open_device(arguments[optind + 1]);
    printf("ready\n");
    fflush(stdout);
    run(near, far);
    while (waiting_count > 0)
        remove_first();
    printf("%llu frames passed, %llu lost, %llu doubled, %llu late\n", passed, lost, twice, late);
    close(near);
    close(far);
    return 0;
}
