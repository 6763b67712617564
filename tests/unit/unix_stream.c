/* jitsu/stream.h as processes implement it: flow control, ends, deadlines, and what handlers may do
 * to their own and to other streams. The clients are sockets of this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jitsu/clock.h"
#include "jitsu/stream.h"
#include "platform/options.h"
#include "platform/unix/lingering.h"
#include "platform/unix/poller.h"
#include "platform/unix/process.h"
#include "platform/unix/streams.h"

#define PATIENCE   (30 * CLOCK_SECOND)
#define TURN       (20 * CLOCK_MILLISECOND)
#define LARGE      (8u << 20)
#define PORT_FIRST 20000

/* A connection as its application sees it: what was called, and what it is to do. */
struct connection {
    struct stream *stream;
    char *bytes; /* received */
    size_t length;
    unsigned received, ended, writable, expired, stopping, closed;
    size_t takes_each, takes_in_all; /* at most */
    void (*on_received)(struct connection *connection);
    const uint8_t *answer; /* written as there is room */
    size_t answer_left;
    unsigned how;
    bool closes_after_answer;
};

static struct connection *last_opened;
static bool refuses;
static uint8_t large[LARGE];
static uint16_t port;

/* --- the application --- */

static struct connection *new_connection(struct stream *stream)
{
    struct connection *connection = calloc(1, sizeof *connection);

    assert_non_null(connection);
    connection->bytes = malloc(LARGE);
    assert_non_null(connection->bytes);
    connection->stream = stream;
    connection->takes_each = connection->takes_in_all = SIZE_MAX;
    return connection;
}

static void free_connection(struct connection *connection)
{
    free(connection->bytes);
    free(connection);
}

static void *opened(struct stream *stream)
{
    if (refuses)
        return NULL;
    last_opened = new_connection(stream);
    return last_opened;
}

static size_t received(struct stream *stream, void *state, const uint8_t *bytes, size_t length)
{
    struct connection *connection = state;
    size_t left = connection->takes_in_all - connection->length;
    size_t taken = length < connection->takes_each ? length : connection->takes_each;

    assert_ptr_equal(connection->stream, stream);
    assert_true(length > 0);
    connection->received++;
    if (taken > left)
        taken = left;
    memcpy(connection->bytes + connection->length, bytes, taken);
    connection->length += taken;
    if (connection->on_received)
        connection->on_received(connection);
    return taken;
}

static void ended(struct stream *stream, void *state)
{
    (void)stream;
    ((struct connection *)state)->ended++;
}

static void write_answer(struct connection *connection)
{
    size_t taken = stream_write(connection->stream, connection->answer, connection->answer_left,
                                connection->how);

    connection->answer += taken;
    connection->answer_left -= taken;
    if (connection->answer_left == 0 && connection->closes_after_answer)
        stream_close(connection->stream);
}

static void writable(struct stream *stream, void *state)
{
    struct connection *connection = state;

    (void)stream;
    connection->writable++;
    if (connection->answer_left > 0)
        write_answer(connection);
}

static void expired(struct stream *stream, void *state)
{
    (void)stream;
    ((struct connection *)state)->expired++;
}

static void stopping(struct stream *stream, void *state)
{
    ((struct connection *)state)->stopping++;
    stream_close(stream);
}

static void closed(void *state)
{
    struct connection *connection = state;

    connection->closed++;
    connection->stream = NULL;
}

static const struct stream_handler handler = {
    .opened = opened,
    .received = received,
    .ended = ended,
    .writable = writable,
    .expired = expired,
    .stopping = stopping,
    .closed = closed,
};

/* --- the loop --- */

static void turn(void)
{
    uint64_t next = clock_now() + TURN;
    uint64_t due = listeners_run();

    next = due < next ? due : next;
    due = streams_run();
    next = due < next ? due : next;
    due = lingering_run();
    poller_wait(due < next ? due : next);
    streams_run();
    lingering_run();
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t end_ = clock_now() + PATIENCE;                                                    \
        while (!(condition)) {                                                                     \
            if (clock_now() > end_)                                                                \
                fail_msg("in vain: %s", #condition);                                               \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

/* Turns until what has happened before has certainly been seen: a connection that was made later
 * has been seen, and its end. */
static void settle(void);

/* --- clients --- */

static int client(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(descriptor != -1);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* A client that has been accepted: last_opened. */
static int accepted_client(void)
{
    last_opened = NULL;
    int descriptor = client();
    TURN_UNTIL(last_opened);
    return descriptor;
}

static void say(int descriptor, const char *text)
{
    assert_int_equal(send(descriptor, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads, in turn with the loop, until the end or an error. Returns how many bytes; *error is 0 or
 * the errno. */
static size_t read_all(int descriptor, uint8_t *bytes, size_t size, int *error)
{
    uint64_t end = clock_now() + PATIENCE;
    size_t length = 0;

    for (;;) {
        ssize_t got = recv(descriptor, bytes + length, size - length, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            assert_true(clock_now() < end);
            turn();
            continue;
        }
        *error = got < 0 ? errno : 0;
        if (got <= 0)
            return length;
        length += (size_t)got;
        if (length == size)
            return length;
    }
}

static void expect_end(int descriptor)
{
    uint8_t byte;
    int error;

    assert_int_equal(read_all(descriptor, &byte, 1, &error), 0);
    assert_int_equal(error, 0);
}

static void expect_reset(int descriptor)
{
    uint8_t byte;
    int error;

    assert_int_equal(read_all(descriptor, &byte, 1, &error), 0);
    assert_int_equal(error, ECONNRESET);
}

static void expect_text(int descriptor, const char *text)
{
    uint8_t bytes[256];
    int error;
    size_t length = strlen(text);

    assert_int_equal(read_all(descriptor, bytes, length, &error), length);
    assert_memory_equal(bytes, text, length);
}

static void settle(void)
{
    struct connection *before = last_opened;
    int descriptor = accepted_client();
    struct connection *later = last_opened;

    close(descriptor);
    TURN_UNTIL(later->ended);
    stream_close(later->stream);
    assert_int_equal(later->closed, 1);
    free_connection(later);
    last_opened = before;
}

static unsigned descriptor_count(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static int set_up(void **state)
{
    static bool started;
    static unsigned count;

    (void)state;
    if (!started) {
        clock_start();
        options_start("ip=127.0.0.1");
        for (size_t i = 0; i < LARGE; i++)
            large[i] = (uint8_t)(i * 31 + i / 251 + i / 65521);
        port = (uint16_t)(PORT_FIRST + getpid() % 10000);
        stream_listen(port, &handler);
        started = true;
        settle();
        count = descriptor_count();
    }
    assert_int_equal(descriptor_count(), count);
    refuses = false;
    return 0;
}

/* Nothing may be left of a test's connections. */
static int tear_down(void **state)
{
    (void)state;
    TURN_UNTIL(streams_are_over() && lingering_is_over());
    return 0;
}

/* --- tests --- */

static void tells_what_a_client_does(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    assert_int_equal(stream_count(), 1);
    say(descriptor, "hello");
    TURN_UNTIL(connection->length == 5);
    assert_memory_equal(connection->bytes, "hello", 5);
    assert_int_equal(connection->ended, 0);
    assert_int_equal(stream_write(connection->stream, "hello too", 9, STREAM_COPY), 9);
    expect_text(descriptor, "hello too");
    shutdown(descriptor, SHUT_WR);
    TURN_UNTIL(connection->ended);
    assert_int_equal(stream_write(connection->stream, "bye", 3, STREAM_COPY), 3);
    stream_close(connection->stream);
    assert_int_equal(connection->closed, 1);
    assert_int_equal(connection->writable, 0);
    assert_int_equal(stream_count(), 0);
    expect_text(descriptor, "bye");
    expect_end(descriptor);
    close(descriptor);
    free_connection(connection);
}

static void offers_again_what_was_not_taken(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    connection->takes_each = 3;
    connection->takes_in_all = 7;
    say(descriptor, "0123456789");
    shutdown(descriptor, SHUT_WR);
    TURN_UNTIL(connection->length == 7);
    settle();
    unsigned calls = connection->received;
    assert_int_equal(connection->ended, 0);
    connection->takes_in_all = 9;
    stream_read(connection->stream);
    assert_int_equal(connection->length, 9);
    assert_true(connection->received > calls);
    settle();
    assert_int_equal(connection->ended, 0);
    connection->takes_in_all = SIZE_MAX;
    stream_read(connection->stream);
    assert_int_equal(connection->length, 10);
    assert_memory_equal(connection->bytes, "0123456789", 10);
    TURN_UNTIL(connection->ended);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static void slows_down_a_client_whose_data_is_not_taken(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;
    size_t sent = 0, stalled = 0;

    connection->takes_in_all = 0;
    /* Stops taking: the socket does not take all of it. */
    while (sent < LARGE && stalled < 20) {
        ssize_t count = send(descriptor, large + sent, LARGE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        stalled = count > 0 ? 0 : stalled + 1;
        sent += count > 0 ? (size_t)count : 0;
        turn();
    }
    assert_true(sent < LARGE);
    connection->takes_in_all = SIZE_MAX;
    stream_read(connection->stream);
    while (connection->length < LARGE) {
        ssize_t count = send(descriptor, large + sent, LARGE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += count > 0 ? (size_t)count : 0;
        turn();
    }
    assert_memory_equal(connection->bytes, large, LARGE);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static void resets_a_client_that_is_refused(void **state)
{
    (void)state;
    refuses = true;
    int descriptor = client();
    expect_reset(descriptor);
    close(descriptor);
}

static void abort_on_received(struct connection *connection)
{
    stream_write(connection->stream, "lost", 4, STREAM_COPY);
    stream_abort(connection->stream);
    assert_int_equal(connection->closed, 0);
    /* They do nothing any more. */
    assert_int_equal(stream_write(connection->stream, "lost", 4, STREAM_COPY), 4);
    stream_shutdown(connection->stream);
    stream_read(connection->stream);
    stream_close(connection->stream);
    assert_int_equal(connection->closed, 0);
}

static void resets_a_connection_that_is_aborted(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    connection->takes_each = 2;
    connection->on_received = abort_on_received;
    say(descriptor, "many bytes");
    TURN_UNTIL(connection->closed);
    assert_int_equal(connection->received, 1);
    assert_int_equal(connection->ended, 0);
    expect_reset(descriptor);
    close(descriptor);
    free_connection(connection);
}

static void tells_when_a_client_resets(void **state)
{
    (void)state;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    /* Even while nothing is read from it. */
    connection->takes_in_all = 0;
    say(descriptor, "waits");
    TURN_UNTIL(connection->received);
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(descriptor);
    TURN_UNTIL(connection->closed);
    assert_int_equal(connection->ended, 0);
    free_connection(connection);
}

/* Sends all of `large`, closes at once, and meanwhile the client sends what nobody wants. */
static void sends_all(unsigned how)
{
    static uint8_t got[LARGE];
    int descriptor = accepted_client();
    struct connection *connection = last_opened;
    int error;

    connection->answer = large;
    connection->answer_left = LARGE;
    connection->how = how;
    connection->closes_after_answer = true;
    say(descriptor, "give");
    TURN_UNTIL(connection->length == 4);
    write_answer(connection);
    assert_true(connection->answer_left > 0);
    settle();
    assert_true(connection->answer_left > 0);
    say(descriptor, "unwanted");
    assert_int_equal(read_all(descriptor, got, LARGE, &error), LARGE);
    assert_memory_equal(got, large, LARGE);
    say(descriptor, "unwanted");
    expect_end(descriptor);
    say(descriptor, "unwanted");
    settle();
    say(descriptor, "unwanted");
    assert_int_equal(connection->closed, 1);
    assert_true(connection->writable > 0);
    close(descriptor);
    free_connection(connection);
}

static void sends_in_place_what_was_written_before_it_closes(void **state)
{
    (void)state;
    sends_all(STREAM_IN_PLACE);
}

static void sends_copies_of_what_was_written_before_it_closes(void **state)
{
    (void)state;
    sends_all(STREAM_COPY);
}

static void keeps_the_order_of_copies_and_what_is_in_place(void **state)
{
    (void)state;
    static const char in_place[] = "in place ";
    int descriptor = accepted_client();
    struct connection *connection = last_opened;
    char copied[] = "copied ";

    stream_write(connection->stream, copied, strlen(copied), STREAM_COPY | STREAM_MORE);
    memset(copied, 'x', strlen(copied));
    stream_write(connection->stream, in_place, strlen(in_place), STREAM_IN_PLACE | STREAM_MORE);
    stream_write(connection->stream, large, 10000, STREAM_IN_PLACE);
    stream_write(connection->stream, "end", 3, STREAM_COPY);
    stream_shutdown(connection->stream);
    expect_text(descriptor, "copied in place ");
    static uint8_t got[10000];
    int error;
    assert_int_equal(read_all(descriptor, got, sizeof got, &error), sizeof got);
    assert_memory_equal(got, large, sizeof got);
    expect_text(descriptor, "end");
    expect_end(descriptor);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static void receives_after_it_has_ended_its_own_half(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    stream_shutdown(connection->stream);
    expect_end(descriptor);
    say(descriptor, "more");
    TURN_UNTIL(connection->length == 4);
    assert_int_equal(connection->closed, 0);
    shutdown(descriptor, SHUT_WR);
    TURN_UNTIL(connection->ended);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static void counts_what_the_client_has_not_acknowledged(void **state)
{
    (void)state;
    static uint8_t got[LARGE];
    int descriptor = accepted_client();
    struct connection *connection = last_opened;
    int error;

    size_t taken = stream_write(connection->stream, large, LARGE, STREAM_IN_PLACE);
    assert_true(taken > 0 && taken < LARGE);
    assert_true(stream_unacknowledged(connection->stream) > 0);
    assert_true(stream_unacknowledged(connection->stream) <= taken);
    assert_int_equal(read_all(descriptor, got, taken, &error), taken);
    TURN_UNTIL(stream_unacknowledged(connection->stream) == 0);
    stream_shutdown(connection->stream);
    assert_int_equal(stream_unacknowledged(connection->stream), 0);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static void tells_of_deadlines(void **state)
{
    (void)state;
    int first = accepted_client();
    struct connection *soon = last_opened;
    int second = accepted_client();
    struct connection *revoked = last_opened;
    int third = accepted_client();
    struct connection *replaced = last_opened;

    stream_deadline(replaced->stream, clock_now() + 3600 * CLOCK_SECOND);
    stream_deadline(replaced->stream, clock_now() + 200 * CLOCK_MILLISECOND);
    stream_deadline(revoked->stream, clock_now() + 10 * CLOCK_MILLISECOND);
    stream_deadline(revoked->stream, 0);
    uint64_t deadline = clock_now() + 100 * CLOCK_MILLISECOND;
    stream_deadline(soon->stream, deadline);
    TURN_UNTIL(soon->expired);
    assert_true(clock_now() >= deadline);
    TURN_UNTIL(replaced->expired);
    settle();
    assert_int_equal(soon->expired, 1);
    assert_int_equal(replaced->expired, 1);
    assert_int_equal(revoked->expired, 0);
    stream_close(soon->stream);
    stream_close(revoked->stream);
    stream_abort(replaced->stream);
    close(first);
    close(second);
    close(third);
    free_connection(soon);
    free_connection(revoked);
    free_connection(replaced);
}

static void read_on_received(struct connection *connection)
{
    unsigned calls = connection->received;

    stream_read(connection->stream);
    assert_int_equal(connection->received, calls);
}

static void does_not_call_received_inside_itself(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;

    connection->takes_each = 1;
    connection->on_received = read_on_received;
    say(descriptor, "abc");
    TURN_UNTIL(connection->length == 3);
    assert_memory_equal(connection->bytes, "abc", 3);
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static struct connection *victim;

static void close_victim(struct connection *connection)
{
    struct connection *other = victim;

    assert_ptr_not_equal(connection, other);
    victim = NULL;
    if (!other)
        return;
    stream_write(other->stream, "last words", 10, STREAM_COPY);
    stream_close(other->stream);
    assert_int_equal(other->closed, 1);
}

static void calls_nothing_for_a_stream_that_another_has_closed(void **state)
{
    (void)state;
    int first = accepted_client();
    struct connection *closer = last_opened;
    int second = accepted_client();
    struct connection *other = last_opened;

    closer->on_received = close_victim;
    victim = other;
    /* Both are told of in one turn. */
    say(first, "one");
    say(second, "two");
    TURN_UNTIL(other->closed);
    assert_true(other->received <= 1);
    unsigned calls = other->received;
    say(second, "three");
    expect_text(second, "last words");
    expect_end(second);
    settle();
    assert_int_equal(other->received, calls);
    stream_close(closer->stream);
    close(first);
    close(second);
    free_connection(closer);
    free_connection(other);
}

static void knows_who_is_at_the_other_end(void **state)
{
    (void)state;
    int descriptor = accepted_client();
    struct connection *connection = last_opened;
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    char text[STREAM_ADDRESS_TEXT_SIZE];

    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&own, &size), 0);
    struct stream_address peer = stream_peer(connection->stream);
    assert_int_equal(peer.port, ntohs(own.sin_port));
    assert_string_equal(stream_address_text(&peer, text), "127.0.0.1");
    const struct stream_address six = {.bytes = {0xfd, [15] = 0x1a}};
    assert_string_equal(stream_address_text(&six, text), "fd00::1a");
    stream_close(connection->stream);
    close(descriptor);
    free_connection(connection);
}

static struct stream_address loopback(uint16_t to)
{
    return (struct stream_address){.bytes = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
                                   .port = to};
}

static void opens_connections(void **state)
{
    (void)state;
    const struct stream_address address = loopback(port);
    struct connection *caller = new_connection(NULL);

    last_opened = NULL;
    caller->answer = (const uint8_t *)"calling";
    caller->answer_left = 7;
    caller->how = STREAM_IN_PLACE;
    caller->stream = stream_connect(&address, &handler, caller);
    assert_non_null(caller->stream);
    assert_int_equal(caller->writable, 0);
    TURN_UNTIL(caller->writable);
    TURN_UNTIL(last_opened && last_opened->length == 7);
    struct connection *called = last_opened;
    assert_memory_equal(called->bytes, "calling", 7);
    stream_write(called->stream, "answer", 6, STREAM_COPY);
    stream_close(called->stream);
    TURN_UNTIL(caller->ended);
    assert_memory_equal(caller->bytes, "answer", 6);
    stream_close(caller->stream);
    free_connection(called);
    free_connection(caller);
}

static void tells_that_a_connection_cannot_be_opened(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    /* Bound, but it does not listen. */
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    const struct stream_address nobody = loopback(ntohs(address.sin_port));

    struct connection *caller = new_connection(NULL);
    caller->stream = stream_connect(&nobody, &handler, caller);
    if (caller->stream)
        TURN_UNTIL(caller->closed);
    assert_int_equal(caller->writable, 0);
    close(descriptor);
    free_connection(caller);

    /* Given up before it is open. */
    const struct stream_address somebody = loopback(port);
    refuses = true;
    caller = new_connection(NULL);
    caller->stream = stream_connect(&somebody, &handler, caller);
    assert_non_null(caller->stream);
    stream_close(caller->stream);
    assert_int_equal(caller->closed, 1);
    free_connection(caller);
    int later = client();
    expect_reset(later);
    close(later);
}

static void tells_each_connection_that_the_machine_stops(void **state)
{
    (void)state;
    int first = accepted_client();
    struct connection *one = last_opened;
    int second = accepted_client();
    struct connection *two = last_opened;

    streams_stop();
    lingering_hurry();
    TURN_UNTIL(one->closed && two->closed);
    assert_int_equal(one->stopping, 1);
    assert_int_equal(two->stopping, 1);
    expect_end(first);
    expect_end(second);
    /* The clients do not end their half: they are not waited for without end. */
    TURN_UNTIL(lingering_is_over());
    close(first);
    close(second);
    free_connection(one);
    free_connection(two);
}

static void resets_all_connections_in_the_end(void **state)
{
    (void)state;
    int first = accepted_client();
    struct connection *open = last_opened;
    int second = accepted_client();
    struct connection *left = last_opened;

    stream_write(left->stream, large, LARGE, STREAM_IN_PLACE);
    stream_close(left->stream);
    assert_false(lingering_is_over());
    lingering_cut();
    assert_true(lingering_is_over());
    streams_cut();
    assert_true(streams_are_over());
    assert_int_equal(open->closed, 1);
    expect_reset(first);
    close(first);
    close(second);
    free_connection(open);
    free_connection(left);
}

#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(tells_what_a_client_does),
        STREAM_TEST(offers_again_what_was_not_taken),
        STREAM_TEST(slows_down_a_client_whose_data_is_not_taken),
        STREAM_TEST(resets_a_client_that_is_refused),
        STREAM_TEST(resets_a_connection_that_is_aborted),
        STREAM_TEST(tells_when_a_client_resets),
        STREAM_TEST(sends_in_place_what_was_written_before_it_closes),
        STREAM_TEST(sends_copies_of_what_was_written_before_it_closes),
        STREAM_TEST(keeps_the_order_of_copies_and_what_is_in_place),
        STREAM_TEST(receives_after_it_has_ended_its_own_half),
        STREAM_TEST(counts_what_the_client_has_not_acknowledged),
        STREAM_TEST(tells_of_deadlines),
        STREAM_TEST(does_not_call_received_inside_itself),
        STREAM_TEST(calls_nothing_for_a_stream_that_another_has_closed),
        STREAM_TEST(knows_who_is_at_the_other_end),
        STREAM_TEST(opens_connections),
        STREAM_TEST(tells_that_a_connection_cannot_be_opened),
        STREAM_TEST(resets_all_connections_in_the_end),
        STREAM_TEST(tells_each_connection_that_the_machine_stops),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    listeners_stop();
    return failed;
}
