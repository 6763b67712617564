/* jitsuctl stats: counters of DNS, the proxy and the bridges, and the limits. */
#include "admin/client/commands.h"
#include "admin/client/connection.h"
#include "admin/client/output.h"

static void print_count(const char *label, const json_t *object, const char *key)
{
    printf("  %-18s %12" JSON_INTEGER_FORMAT "\n", label, count_of(object, key));
}

static void print_bytes(const char *label, const json_t *object, const char *key)
{
    char text[TEXT_SIZE];
    printf("  %-18s %12s\n", label, text_size(size_of(object, key), text));
}

static void print_of_limit(const char *label, const json_t *limits, const char *key,
                           const char *limit_key)
{
    printf("  %-18s %12" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT "\n", label,
           count_of(limits, key), count_of(limits, limit_key));
}

static void print_dns(json_t *dns)
{
    const char *name;
    json_t *value;

    printf("dns queries              udp          tcp\n");
    json_object_foreach(json_object_get(dns, "queries"), name, value)
    {
        printf("  %-11s %14" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT "\n", name,
               count_of(value, "udp"), count_of(value, "tcp"));
    }
    printf("dns answers\n");
    json_object_foreach(json_object_get(dns, "answers"), name, value)
    {
        printf("  %-18s %12" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    }
    print_count("truncated", dns, "truncated");
    print_count("dropped queries", dns, "dropped");
    if (count_of(dns, "forwarded") == 0 && count_of(dns, "forward_refused") == 0)
        return;
    print_count("forwarded", dns, "forwarded");
    print_count("  unanswered", dns, "forward_unanswered");
    print_count("not forwarded", dns, "forward_refused");
}

static void print_proxy(const json_t *proxy)
{
    printf("connections\n");
    print_count("open", proxy, "connections");
    print_count("waiting", proxy, "waiting");
    print_count("accepted", proxy, "accepted");
    print_count("refused", proxy, "refused");
    print_bytes("to machines", proxy, "bytes_to_machines");
    print_bytes("to clients", proxy, "bytes_to_clients");
}

static void print_bridges(const json_t *bridges)
{
    printf("bridges\n");
    print_count("held connections", bridges, "connections");
    print_count("held frames", bridges, "held_frames");
    print_bytes("held bytes", bridges, "held_bytes");
    print_count("accepted", bridges, "accepted");
    print_count("handed over", bridges, "handed_over");
    print_count("released frames", bridges, "released");
    print_count("dropped frames", bridges, "dropped");
    print_count("refused", bridges, "refused");
}

static void print_limits(const json_t *limits)
{
    char used[TEXT_SIZE], limit[TEXT_SIZE];

    printf("limits\n");
    print_of_limit("machines", limits, "machines", "machine_limit");
    printf("  %-18s %12s of %s\n", "memory", text_size(size_of(limits, "memory"), used),
           text_size(size_of(limits, "memory_limit"), limit));
    printf("  %-18s %12s of %s\n", "held on bridges", text_size(size_of(limits, "held"), used),
           text_size(size_of(limits, "held_limit"), limit));
    print_of_limit("starts at a time", limits, "starts", "start_limit");
    print_count("waiting starts", limits, "waiting");
}

int command_stats(const struct arguments *arguments)
{
    char uptime[TEXT_SIZE];
    json_t *answer =
        request_answer(arguments->socket, json_pack("{s:s}", "command", "stats"), arguments->json);
    if (!answer)
        return finish_output(EXIT_REFUSED);
    if (!arguments->json) {
        printf("%" JSON_INTEGER_FORMAT " services, up %s\n", count_of(answer, "services"),
               text_duration(number_of(answer, "uptime"), uptime));
        print_dns(json_object_get(answer, "dns"));
        print_proxy(json_object_get(answer, "proxy"));
        print_bridges(json_object_get(answer, "bridges"));
        print_limits(json_object_get(answer, "limits"));
    }
    json_decref(answer);
    return finish_output(EXIT_DONE);
}
