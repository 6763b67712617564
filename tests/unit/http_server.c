/* Connections as the unikernels' HTTP server keeps them: requests in pieces and in a row, clients
 * that are slow or too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "jitsu/http.h"
#include "unit/application.h"
#include "unit/stream_double.h"

#define GET       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_LARGE "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
#define ROOM      10000

static uint8_t large[100000];

static void answer(const struct http_request *request, struct http_response *response)
{
    if (strcmp(request->path, "/large") == 0)
        http_reply(response, 200, "text/plain", large, sizeof large, STREAM_IN_PLACE);
    else if (strcmp(request->path, "/copy") == 0)
        http_reply(response, 200, "text/plain", large, 4000, STREAM_COPY);
    else
        http_reply(response, 200, "text/plain", "hello", 5, STREAM_COPY);
}

static void start(size_t capacity, const char *options)
{
    const struct stream_machine machine = {capacity, ROOM, options};

    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7 / 3);
    wall_time = 0;
    machine_start(&machine);
    http_listen(80, answer);
}

static void client_say(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

static size_t received_length(const struct client *client)
{
    size_t length;

    client_received(client, &length);
    return length;
}

static unsigned answers(const struct client *client)
{
    size_t length;
    const uint8_t *bytes = client_received(client, &length), *at = bytes;
    unsigned count = 0;

    while (length > 0 &&
           (at = memmem(at, length - (size_t)(at - bytes), "HTTP/1.1 200 OK\r\n", 17))) {
        count++;
        at++;
    }
    return count;
}

static void answers_requests_in_pieces_and_in_a_row(void **state)
{
    const char *requests = GET "\r\n" GET GET "HEAD / HTTP/1.1\r\nHost: b\r\n\r\n" GET;

    (void)state;
    start(10, "");
    struct client *whole = client_connect(), *pieces = client_connect();
    client_say(whole, requests);
    for (const char *at = requests; *at; at++)
        client_send(pieces, at, 1);
    assert_int_equal(answers(whole), 5);
    assert_int_equal(received_length(pieces), received_length(whole));
    assert_int_equal(client_state(whole), CLIENT_CONNECTED);
    client_free(whole);
    client_free(pieces);
}

static void sends_as_much_as_there_is_room_for(const char *path, size_t length)
{
    char request[100];
    size_t sent;

    start(10, "");
    struct client *client = client_connect();
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    client_say(client, request);
    client_say(client, request);
    assert_true(received_length(client) <= ROOM);
    for (int i = 0; i < 100; i++)
        client_acknowledge(client, ROOM / 3);
    assert_int_equal(answers(client), 2);
    const uint8_t *bytes = client_received(client, &sent);
    assert_true(sent > 2 * length);
    assert_memory_equal(bytes + sent - length, large, length);
    client_free(client);
}

static void sends_large_answers_bit_by_bit(void **state)
{
    (void)state;
    sends_as_much_as_there_is_room_for("/large", sizeof large);
    sends_as_much_as_there_is_room_for("/copy", 4000);
}

static void answers_a_client_that_ends_its_half(void **state)
{
    (void)state;
    start(10, "");
    struct client *client = client_connect();
    client_say(client, GET_LARGE);
    client_end(client);
    for (int i = 0; i < 20; i++)
        client_acknowledge(client, ROOM);
    assert_true(received_length(client) > sizeof large);
    assert_int_equal(client_state(client), CLIENT_CLOSED);
    client_free(client);
}

static void keeps_a_client_that_has_ended_until_it_has_all(void **state)
{
    (void)state;
    start(1, "");
    struct client *client = client_connect();
    client_say(client, GET GET);
    client_end(client);
    assert_int_equal(client_state(client), CLIENT_SHUT);
    struct client *refused = client_connect();
    assert_int_equal(client_state(refused), CLIENT_ABORTED);
    client_acknowledge(client, ROOM);
    assert_int_equal(client_state(client), CLIENT_CLOSED);
    struct client *vanished = client_connect();
    client_say(vanished, GET);
    client_end(vanished);
    machine_pass(6);
    assert_int_equal(client_state(vanished), CLIENT_ABORTED);
    client_free(client);
    client_free(refused);
    client_free(vanished);
}

static void ends_a_connection_after_its_last_answer(void **state)
{
    (void)state;
    start(10, "");
    struct client *client = client_connect();
    client_say(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbody");
    client_say(client, GET);
    assert_int_equal(answers(client), 1);
    assert_int_equal(client_state(client), CLIENT_SHUT);
    client_end(client);
    assert_int_equal(client_state(client), CLIENT_CLOSED);
    client_free(client);
}

static void does_not_wait_for_ever_for_a_client_to_end(void **state)
{
    (void)state;
    start(10, "");
    struct client *client = client_connect();
    client_say(client, "GET / HTTP/1.0\r\n\r\n");
    client_acknowledge(client, ROOM);
    machine_pass(4);
    client_say(client, "more");
    assert_int_equal(client_state(client), CLIENT_SHUT);
    machine_pass(2);
    assert_int_equal(client_state(client), CLIENT_CLOSED);
    client_free(client);
}

static void ends_idle_clients(void **state)
{
    (void)state;
    start(10, "");
    struct client *silent = client_connect(), *kept = client_connect();
    machine_pass(29);
    client_say(kept, GET);
    client_acknowledge(kept, ROOM);
    machine_pass(2);
    assert_int_equal(client_state(silent), CLIENT_CLOSED);
    assert_int_equal(client_state(kept), CLIENT_CONNECTED);
    machine_pass(29);
    assert_int_equal(client_state(kept), CLIENT_CLOSED);
    client_free(silent);
    client_free(kept);
    start(10, "idle=2");
    silent = client_connect();
    machine_pass(2.5);
    assert_int_equal(client_state(silent), CLIENT_CLOSED);
    client_free(silent);
}

static void ends_clients_that_do_not_finish_their_request(void **state)
{
    (void)state;
    start(10, "");
    struct client *client = client_connect();
    for (int i = 0; i < 10; i++) {
        client_say(client, i == 0 ? "GET / HTTP/1.1\r\n" : "a: b\r\n");
        assert_int_equal(client_state(client), CLIENT_CONNECTED);
        machine_pass(1);
    }
    assert_int_equal(client_state(client), CLIENT_CLOSED);
    client_free(client);
}

static void ends_clients_that_do_not_take_their_answer(void **state)
{
    (void)state;
    start(10, "");
    /* More than there is room for, and less than that. */
    struct client *large_one = client_connect(), *small_one = client_connect();
    client_say(large_one, GET_LARGE);
    client_say(small_one, GET);
    machine_pass(21);
    assert_int_equal(client_state(large_one), CLIENT_ABORTED);
    machine_pass(10);
    assert_int_equal(client_state(small_one), CLIENT_ABORTED);
    client_free(large_one);
    client_free(small_one);
}

static void does_not_end_clients_that_are_slow(void **state)
{
    (void)state;
    start(10, "");
    struct client *large_one = client_connect(), *small_one = client_connect();
    client_say(large_one, GET_LARGE);
    client_say(small_one, GET);
    for (int i = 0; i < 30; i++) {
        machine_pass(15);
        client_acknowledge(large_one, 300);
        client_acknowledge(small_one, 3);
    }
    assert_int_equal(client_state(large_one), CLIENT_CONNECTED);
    assert_int_equal(client_state(small_one), CLIENT_CONNECTED);
    client_acknowledge(small_one, ROOM);
    machine_pass(31);
    machine_pass(31);
    assert_int_equal(client_state(large_one), CLIENT_ABORTED);
    assert_int_equal(client_state(small_one), CLIENT_CLOSED);
    client_free(large_one);
    client_free(small_one);
}

static void lets_new_clients_take_the_place_of_idle_ones(void **state)
{
    struct client *clients[4];

    (void)state;
    start(3, "");
    for (int i = 0; i < 3; i++)
        clients[i] = client_connect();
    client_say(clients[0], GET);
    client_acknowledge(clients[0], ROOM);
    clients[3] = client_connect();
    assert_int_equal(client_state(clients[1]), CLIENT_CLOSED);
    client_say(clients[3], GET);
    for (int i = 0; i < 4; i += i == 0 ? 2 : 1)
        assert_int_equal(client_state(clients[i]), CLIENT_CONNECTED);
    assert_int_equal(answers(clients[3]), 1);
    for (int i = 0; i < 4; i++)
        client_free(clients[i]);
}

static void refuses_new_clients_where_all_are_busy(void **state)
{
    struct client *clients[3];

    (void)state;
    start(3, "");
    for (int i = 0; i < 3; i++) {
        clients[i] = client_connect();
        client_say(clients[i], i == 0 ? GET : GET_LARGE);
    }
    struct client *refused = client_connect();
    assert_int_equal(client_state(refused), CLIENT_ABORTED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(client_state(clients[i]), CLIENT_CONNECTED);
        while (received_length(clients[i]) < (i == 0 ? 5 : sizeof large))
            client_acknowledge(clients[i], ROOM);
        client_acknowledge(clients[i], ROOM);
    }
    struct client *accepted = client_connect();
    client_say(accepted, GET);
    assert_int_equal(answers(accepted), 1);
    for (int i = 0; i < 3; i++)
        client_free(clients[i]);
    client_free(refused);
    client_free(accepted);
}

static void logs_requests_where_it_is_told_to(void **state)
{
    static char long_request[2000];

    (void)state;
    start(10, "log");
    struct client *client = client_connect();
    client_say(client, "GET /a%20b?\"\\\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(machine_console(), "fd00::1 \"GET /a%20b?\\x22\\x5c\\xc3\\xa9\" 200 5\n");
    client_say(client, "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(machine_console(), "fd00::1 \"HEAD /large\" 200 0\n");
    memset(long_request, 'x', sizeof long_request - 1);
    memcpy(long_request, "GET /?", 6);
    client_say(client, long_request);
    client_say(client, " HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *line = machine_console();
    assert_true(strlen(line) < 640);
    assert_non_null(strstr(line, "xxx...\" 200 5\n"));
    client_say(client, "one two\r\n\r\n");
    assert_non_null(strstr(machine_console(), "fd00::1 \"one two\" 400 "));
    client_free(client);
    client = client_connect();
    client_say(client, "\n");
    assert_non_null(strstr(machine_console(), "fd00::1 \"-\" 400 "));
    client_free(client);
    start(10, "idle=3");
    client = client_connect();
    client_say(client, GET);
    assert_string_equal(machine_console(), "");
    client_free(client);
}

static void tells_the_date_where_it_is_known(void **state)
{
    size_t length;

    (void)state;
    start(10, "");
    struct client *client = client_connect();
    client_say(client, GET);
    const uint8_t *bytes = client_received(client, &length);
    assert_null(memmem(bytes, length, "Date:", 5));
    wall_time = 784111777;
    client_say(client, GET);
    bytes = client_received(client, &length);
    assert_non_null(memmem(bytes, length, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 39));
    wall_time++;
    client_say(client, GET);
    bytes = client_received(client, &length);
    assert_non_null(memmem(bytes, length, "\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 39));
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_requests_in_pieces_and_in_a_row),
        cmocka_unit_test(sends_large_answers_bit_by_bit),
        cmocka_unit_test(answers_a_client_that_ends_its_half),
        cmocka_unit_test(keeps_a_client_that_has_ended_until_it_has_all),
        cmocka_unit_test(ends_a_connection_after_its_last_answer),
        cmocka_unit_test(does_not_wait_for_ever_for_a_client_to_end),
        cmocka_unit_test(ends_idle_clients),
        cmocka_unit_test(ends_clients_that_do_not_finish_their_request),
        cmocka_unit_test(ends_clients_that_do_not_take_their_answer),
        cmocka_unit_test(does_not_end_clients_that_are_slow),
        cmocka_unit_test(lets_new_clients_take_the_place_of_idle_ones),
        cmocka_unit_test(refuses_new_clients_where_all_are_busy),
        cmocka_unit_test(logs_requests_where_it_is_told_to),
        cmocka_unit_test(tells_the_date_where_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
