/* Loads an HTTP server and checks every byte of its answers: many connections at a time, short and
 * long ones, with requests one by one and in a row; they end in all the ways there are.
 *
 *     lab-load [-n REQUESTS] [-c CONNECTIONS] [-s SECONDS] [-S SEED] ADDRESS PORT
 * PATH=FILE:WEIGHT...
 *
 * Asks for PATH as often as its weight says, and expects what is in FILE. A connection on which
 * nothing happens for SECONDS is a failure. Prints what was done; exits with 1, having said why, at
 * the first answer that is not right. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAGES_MAX   16
#define DEPTH_MAX   16 /* requests that are on their way at a time, on one connection */
#define HEAD_MAX    2048
#define REQUEST_MAX 256
#define LONG_RUN    60 /* requests on a connection, at most */
#define SHORT_RUN   3

struct page {
    const char *path;
    uint8_t *bytes;
    size_t length;
    unsigned weight;
};

/* How a connection ends, after its last answer or in the middle of one. */
enum ending {
    SERVER_CLOSES, /* it is told to, in the last request */
    CLIENT_CLOSES,
    CLIENT_SHUTS, /* sends its end right after the last request */
    OLD_CLIENT,   /* HTTP/1.0 */
    CLIENT_RESETS,
    ENDINGS,
};

struct request {
    const struct page *page;
    bool is_head, is_last;
};

struct connection {
    int socket; /* -1: there is none */
    enum ending ending;
    unsigned planned, sent, answered, depth;
    struct request asked[DEPTH_MAX]; /* those not answered yet, at their number modulo DEPTH_MAX */
    char output[DEPTH_MAX * REQUEST_MAX];
    size_t output_length, output_sent;
    char head[HEAD_MAX + 1];
    size_t head_length;
    bool in_body, has_shut;
    size_t body_at;
    double last_progress;
};

static struct page pages[PAGES_MAX];
static unsigned page_count, weight_sum;
static struct sockaddr_storage address;
static socklen_t address_length;
static int events;
static double now, patience = 30, longest_wait;
static uint64_t random_state = 1;
static uint64_t requests_left = 1000;
static uint64_t answers, connections_made, connections_reset, bytes_received;

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "after %llu answers on %llu connections: ", (unsigned long long)answers,
            (unsigned long long)connections_made);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double clock_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static unsigned roll(unsigned most)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % most;
}

static void make_progress(struct connection *connection)
{
    if (now - connection->last_progress > longest_wait)
        longest_wait = now - connection->last_progress;
    connection->last_progress = now;
}

static void watch(const struct connection *connection, int operation)
{
    bool has_output = connection->output_sent < connection->output_length;
    struct epoll_event event = {
        .events = EPOLLIN | (has_output ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = (void *)(uintptr_t)connection,
    };

    if (epoll_ctl(events, operation, connection->socket, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

/* A plan for the requests that are left. Returns false if there are none. */
static bool open_connection(struct connection *connection)
{
    if (requests_left == 0)
        return false;
    memset(connection, 0, sizeof *connection);
    connection->ending = (enum ending)roll(ENDINGS);
    connection->planned = 1 + roll(roll(2) ? SHORT_RUN : LONG_RUN);
    if (connection->ending == OLD_CLIENT)
        connection->planned = 1;
    if (connection->planned > requests_left)
        connection->planned = (unsigned)requests_left;
    requests_left -= connection->planned;
    connection->depth = roll(2) ? 1 : 1 + roll(DEPTH_MAX);
    connection->last_progress = now;
    connection->socket = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->socket < 0)
        fail("socket: %s", strerror(errno));
    if (connect(connection->socket, (struct sockaddr *)&address, address_length) != 0 &&
        errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    connections_made++;
    return true;
}

static const struct page *choose_page(void)
{
    unsigned at = roll(weight_sum);
    const struct page *page = pages;

    while (at >= page->weight)
        at -= page++->weight;
    return page;
}

/* Adds as many requests to the output as may be on their way. */
static void add_requests(struct connection *connection)
{
    if (connection->output_sent < connection->output_length)
        return;
    connection->output_length = connection->output_sent = 0;
    while (connection->sent < connection->planned &&
           connection->sent - connection->answered < connection->depth) {
        struct request *request = &connection->asked[connection->sent++ % DEPTH_MAX];
        bool is_last = connection->sent == connection->planned;
        *request = (struct request){choose_page(), roll(16) == 0, is_last};
        const char *fields = is_last && connection->ending == SERVER_CLOSES
                                 ? "Host: a\r\nConnection: close\r\n"
                                 : "Host: a\r\nAccept-Language: en\r\n";
        connection->output_length +=
            (size_t)snprintf(connection->output + connection->output_length, REQUEST_MAX,
                             "%s %s HTTP/1.%d\r\n%s\r\n", request->is_head ? "HEAD" : "GET",
                             request->page->path, connection->ending != OLD_CLIENT, fields);
    }
}

static void send_output(struct connection *connection)
{
    add_requests(connection);
    size_t left = connection->output_length - connection->output_sent;
    if (left > 0) {
        ssize_t count = send(connection->socket, connection->output + connection->output_sent, left,
                             MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            fail("send: %s", strerror(errno));
        connection->output_sent += count > 0 ? (size_t)count : 0;
    }
    if (connection->ending == CLIENT_SHUTS && !connection->has_shut &&
        connection->sent == connection->planned &&
        connection->output_sent == connection->output_length) {
        connection->has_shut = true;
        shutdown(connection->socket, SHUT_WR);
    }
}

static bool server_ends(const struct connection *connection)
{
    return connection->ending == SERVER_CLOSES || connection->ending == OLD_CLIENT;
}

/* The head of an answer, as it must be. */
static void check_head(const struct connection *connection, const struct request *request)
{
    char length[64];
    bool ends = request->is_last && server_ends(connection);

    snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", request->page->length);
    if (strncmp(connection->head, "HTTP/1.1 200 OK\r\n", 17) != 0 ||
        !strstr(connection->head, length) ||
        !strstr(connection->head,
                ends ? "\r\nConnection: close\r\n" : "\r\nConnection: keep-alive\r\n"))
        fail("%s, answer %u of %u: the head is\n%s", request->page->path, connection->answered + 1,
             connection->planned, connection->head);
}

/* The body is there, if there is one. */
static void end_answer(struct connection *connection)
{
    connection->head_length = 0;
    connection->body_at = 0;
    connection->in_body = false;
    connection->answered++;
    answers++;
}

/* Takes bytes of a head. Returns how many. */
static size_t take_head(struct connection *connection, const struct request *request,
                        const uint8_t *bytes, size_t length)
{
    char *head = connection->head;

    for (size_t i = 0; i < length; i++) {
        if (connection->head_length == HEAD_MAX)
            fail("%s: a head without an end", request->page->path);
        head[connection->head_length++] = (char)bytes[i];
        if (connection->head_length < 4 ||
            memcmp(head + connection->head_length - 4, "\r\n\r\n", 4) != 0)
            continue;
        head[connection->head_length] = '\0';
        check_head(connection, request);
        if (request->is_head || request->page->length == 0)
            end_answer(connection);
        else
            connection->in_body = true;
        return i + 1;
    }
    return length;
}

static size_t take_body(struct connection *connection, const struct request *request,
                        const uint8_t *bytes, size_t length)
{
    size_t left = request->page->length - connection->body_at;
    size_t count = length < left ? length : left;

    if (memcmp(bytes, request->page->bytes + connection->body_at, count) != 0)
        fail("%s, answer %u of %u: other bytes from byte %zu on", request->page->path,
             connection->answered + 1, connection->planned, connection->body_at);
    connection->body_at += count;
    if (count == left)
        end_answer(connection);
    return count;
}

static void take(struct connection *connection, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        if (connection->answered == connection->sent)
            fail("%zu bytes that nobody has asked for", length);
        const struct request *request = &connection->asked[connection->answered % DEPTH_MAX];
        size_t taken = connection->in_body ? take_body(connection, request, bytes, length)
                                           : take_head(connection, request, bytes, length);
        bytes += taken;
        length -= taken;
    }
}

static void end_connection(struct connection *connection, bool reset)
{
    const struct linger now_at_once = {.l_onoff = 1, .l_linger = 0};

    if (reset) {
        setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &now_at_once, sizeof now_at_once);
        requests_left += connection->planned - connection->answered;
        connections_reset++;
    }
    close(connection->socket);
    connection->socket = -1;
}

/* Reads once. Returns false when the connection has ended as it should. */
static bool receive(struct connection *connection)
{
    static uint8_t bytes[256 * 1024];
    ssize_t count = recv(connection->socket, bytes, sizeof bytes, 0);

    if (count < 0 && errno == EAGAIN)
        return true;
    if (count < 0)
        fail("recv, answer %u of %u: %s", connection->answered + 1, connection->planned,
             strerror(errno));
    bool is_done = connection->answered == connection->planned;
    if (count == 0 && (!is_done || !(server_ends(connection) || connection->has_shut)))
        fail("the connection ended after %u of %u answers", connection->answered,
             connection->planned);
    if (count == 0)
        return false;
    bytes_received += (uint64_t)count;
    make_progress(connection);
    take(connection, bytes, (size_t)count);
    is_done = connection->answered == connection->planned;
    if (connection->ending == CLIENT_RESETS && (is_done || roll(20) == 0)) {
        end_connection(connection, true);
        return true;
    }
    return !(is_done && connection->ending == CLIENT_CLOSES);
}

/* Goes on with a connection, or with the next in its place. Returns false if there is no next. */
static bool step(struct connection *connection)
{
    if (!receive(connection))
        end_connection(connection, false);
    if (connection->socket >= 0) {
        send_output(connection);
        watch(connection, EPOLL_CTL_MOD);
        return true;
    }
    if (!open_connection(connection)) {
        connection->socket = -1;
        return false;
    }
    add_requests(connection);
    watch(connection, EPOLL_CTL_ADD);
    return true;
}

static void check_stalls(struct connection *connections, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (connections[i].socket >= 0 && now - connections[i].last_progress > patience)
            fail("a connection stalls: %u of %u answers, %zu bytes of the next one",
                 connections[i].answered, connections[i].planned, connections[i].body_at);
}

static void run(unsigned count)
{
    struct connection *connections = calloc(count, sizeof *connections);
    struct epoll_event ready[256];
    unsigned open = 0;

    if (!connections)
        fail("no memory");
    events = epoll_create1(EPOLL_CLOEXEC);
    now = clock_seconds();
    for (unsigned i = 0; i < count; i++) {
        if (!open_connection(&connections[i])) {
            connections[i].socket = -1;
            continue;
        }
        add_requests(&connections[i]);
        watch(&connections[i], EPOLL_CTL_ADD);
        open++;
    }
    while (open > 0) {
        int found = epoll_wait(events, ready, 256, 1000);
        now = clock_seconds();
        for (int i = 0; i < found; i++)
            open -= !step(ready[i].data.ptr);
        check_stalls(connections, count);
    }
    free(connections);
}

/* PATH=FILE:WEIGHT */
static void add_page(char *argument)
{
    char *file = strchr(argument, '='), *weight = strrchr(argument, ':');
    struct page *page = &pages[page_count++];

    if (page_count > PAGES_MAX || !file || !weight || weight < file)
        fail("PATH=FILE:WEIGHT is expected, not %s", argument);
    *file++ = *weight++ = '\0';
    FILE *stream = fopen(file, "rb");
    if (!stream || fseek(stream, 0, SEEK_END) != 0)
        fail("%s: %s", file, strerror(errno));
    *page = (struct page){
        .path = argument, .length = (size_t)ftell(stream), .weight = (unsigned)atoi(weight)};
    weight_sum += page->weight;
    page->bytes = malloc(page->length + 1);
    rewind(stream);
    if (!page->bytes || fread(page->bytes, 1, page->length, stream) != page->length)
        fail("%s cannot be read", file);
    fclose(stream);
}

static void set_address(const char *text, const char *port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    uint16_t number = htons((uint16_t)atoi(port));

    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = number;
        address_length = sizeof *four;
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = number;
        address_length = sizeof *six;
    } else {
        fail("%s is no address", text);
    }
}

int main(int argument_count, char **arguments)
{
    unsigned connections = 32;
    int option;

    while ((option = getopt(argument_count, arguments, "n:c:s:S:")) != -1) {
        if (option == 'n')
            requests_left = strtoull(optarg, NULL, 10);
        else if (option == 'c')
            connections = (unsigned)atoi(optarg);
        else if (option == 's')
            patience = atof(optarg);
        else if (option == 'S')
            random_state = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (argument_count - optind < 3) {
        fprintf(stderr, "usage: lab-load [-n REQUESTS] [-c CONNECTIONS] [-s SECONDS] [-S SEED] "
                        "ADDRESS PORT PATH=FILE:WEIGHT...\n");
        return 2;
    }
    set_address(arguments[optind], arguments[optind + 1]);
    for (int i = optind + 2; i < argument_count; i++)
        add_page(arguments[i]);
    double began = clock_seconds();
    run(connections);
    printf("%llu answers on %llu connections, %llu of them reset, %.1f MB in %.2f s; the longest "
           "wait was %.2f s\n",
           (unsigned long long)answers, (unsigned long long)connections_made,
           (unsigned long long)connections_reset, (double)bytes_received / 1e6,
           clock_seconds() - began, longest_wait);
    for (unsigned i = 0; i < page_count; i++)
        free(pages[i].bytes);
    return 0;
}
