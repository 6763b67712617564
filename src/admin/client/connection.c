#include "admin/client/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/client/output.h"

#define READ_SIZE 65536

static int explain_connect(struct error *error, const char *path)
{
    switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
        return error_set(
            error,
            "no jitsud answers at %s (%s); start it with \"systemctl start jitsud\" or "
            "\"jitsud -c FILE\", or name its socket with -s",
            path, strerror(errno));
    case EACCES:
    case EPERM:
        return error_set(error, "may not use %s: try as root, or as a member of its group", path);
    default:
        return error_set_errno(error, "cannot connect to %s", path);
    }
}

int connection_open(struct connection *connection, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *connection = (struct connection){.socket = -1};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(error, "%s: longer than a socket's path may be (%zu bytes)", path,
                         sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    connection->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->socket == -1)
        return error_set_errno(error, "cannot make a socket");
    if (connect(connection->socket, (const struct sockaddr *)&address, sizeof address) != 0)
        return explain_connect(error, path);
    return 0;
}

void connection_close(struct connection *connection)
{
    if (connection->socket != -1)
        close(connection->socket);
    free(connection->input);
    *connection = (struct connection){.socket = -1};
}

static int send_all(int socket, const char *bytes, size_t length, struct error *error)
{
    while (length > 0) {
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return error_set_errno(error, "cannot send to jitsud");
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

int connection_send(struct connection *connection, json_t *request, struct error *error)
{
    char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!line)
        return error_set(error, "not UTF-8, or out of memory");
    size_t length = strlen(line);
    line[length++] = '\n'; /* in place of its NUL */
    int result = send_all(connection->socket, line, length, error);
    free(line);
    return result;
}

/* Reads some more, behind what is there. */
static int read_more(struct connection *connection, struct error *error)
{
    if (connection->used > 0) {
        connection->length -= connection->used;
        memmove(connection->input, connection->input + connection->used, connection->length);
        connection->used = 0;
    }
    if (connection->capacity - connection->length < READ_SIZE) {
        size_t capacity = connection->capacity * 2 + READ_SIZE;
        char *larger = realloc(connection->input, capacity);
        if (!larger)
            return error_set(error, "out of memory");
        connection->input = larger;
        connection->capacity = capacity;
    }
    ssize_t received;
    do
        received = read(connection->socket, connection->input + connection->length,
                        connection->capacity - connection->length);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return error_set_errno(error, "cannot receive from jitsud");
    if (received == 0)
        return error_set(error, "jitsud closed the connection");
    connection->length += (size_t)received;
    return 0;
}

int connection_receive(struct connection *connection, struct answer *answer, struct error *error)
{
    json_error_t problem;
    size_t searched = 0;
    char *end;

    for (;;) {
        size_t start = connection->used + searched;
        end = connection->length > start
                  ? memchr(connection->input + start, '\n', connection->length - start)
                  : NULL;
        if (end)
            break;
        searched = connection->length - connection->used;
        if (read_more(connection, error) != 0)
            return -1;
    }
    *end = '\0';
    answer->line = connection->input + connection->used;
    connection->used = (size_t)(end + 1 - connection->input);
    answer->object = json_loads(answer->line, JSON_ALLOW_NUL, &problem);
    if (!json_is_object(answer->object)) {
        json_decref(answer->object);
        return error_set(error, "jitsud sent a line that is not a JSON object: %s", problem.text);
    }
    return 0;
}

bool connection_has_more(const struct connection *connection)
{
    return connection->length > connection->used &&
           memchr(connection->input + connection->used, '\n',
                  connection->length - connection->used) != NULL;
}

bool answer_is_last(const struct answer *answer)
{
    return json_object_get(answer->object, "ok") != NULL;
}

int request_begin(struct connection *connection, const char *path, json_t *request)
{
    struct error error;

    if (connection_open(connection, path, &error) != 0) {
        json_decref(request);
    } else if (connection_send(connection, request, &error) == 0) {
        return 0;
    }
    print_error("%s", error.text);
    return -1;
}

int request_receive(struct connection *connection, struct answer *answer)
{
    struct error error;

    if (connection_receive(connection, answer, &error) == 0)
        return 0;
    print_error("%s", error.text);
    return -1;
}

json_t *request_answer(const char *path, json_t *request, bool json)
{
    struct connection connection;
    struct answer answer;
    json_t *object = NULL;

    if (request_begin(&connection, path, request) == 0 &&
        request_receive(&connection, &answer) == 0) {
        object = answer.object;
        if (json)
            puts(answer.line);
        if (!json_is_true(json_object_get(object, "ok"))) {
            if (!json)
                print_error("%s", text_of(object, "error"));
            json_decref(object);
            object = NULL;
        }
    }
    connection_close(&connection);
    return object;
}
