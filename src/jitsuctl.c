/* jitsuctl: the control tool. The table of its commands, and the command line; what the commands do
 * is in admin/client/. */
#include "config.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/client/commands.h"
#include "admin/client/output.h"
#include "config/config.h"
#include "summon/machine_state.h"

#define DEFAULT_SOCKET "/run/jitsu/control.sock"

/* Options that only some commands take: bits, named in the same order in check_arguments(). */
enum option_bit {
    OPTION_MODE = 1,
    OPTION_STATE = 2,
    OPTION_TIMEOUT = 4,
    OPTION_FOLLOW = 8,
    OPTION_LINES = 16,
    OPTION_OUTPUT = 32,
    OPTION_NO_COMPRESS = 64,
};

struct subcommand {
    const char *name, *synopsis, *purpose;
    command_function *function;
    unsigned options;    /* bits that it takes */
    const char *operand; /* what it is called in messages; NULL: none */
    bool needs_operand;
};

static const struct subcommand subcommands[] = {
    {"status", "[NAME]", "show all services, or all about one", command_status, 0, "NAME", false},
    {"start", "NAME", "start its machine", command_start, 0, "NAME", true},
    {"stop", "NAME [--mode destroy|shutdown|suspend]", "stop its machine", command_stop,
     OPTION_MODE, "NAME", true},
    {"wait", "NAME [--for STATE] [--timeout TIME]", "wait until it runs, or for another state",
     command_wait, OPTION_STATE | OPTION_TIMEOUT, "NAME", true},
    {"events", "[--follow] [--lines COUNT]", "show what happened to machines, and why",
     command_events, OPTION_FOLLOW | OPTION_LINES, NULL, false},
    {"console", "NAME", "show what its console printed and prints", command_console, 0, "NAME",
     true},
    {"reload", "", "read the configuration again", command_reload, 0, NULL, false},
    {"stats", "", "show counters of DNS, connections and limits", command_stats, 0, NULL, false},
    {"pack", "DIRECTORY -o FILE [--no-compress]",
     "make a ramdisk for the www unikernel from a site's files", command_pack,
     OPTION_OUTPUT | OPTION_NO_COMPRESS, "DIRECTORY", true},
    {"version", "", "show the versions of jitsuctl and jitsud", command_version, 0, NULL, false},
};
#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static const char short_options[] = "s:jfn:o:hV";
static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},  {"json", no_argument, NULL, 'j'},
    {"mode", required_argument, NULL, 'm'},    {"for", required_argument, NULL, 'F'},
    {"timeout", required_argument, NULL, 't'}, {"follow", no_argument, NULL, 'f'},
    {"lines", required_argument, NULL, 'n'},   {"output", required_argument, NULL, 'o'},
    {"no-compress", no_argument, NULL, 'c'},   {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    puts("Usage: jitsuctl [-s SOCKET] [--json] COMMAND\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        printf("  %s%s%s\n        %s\n", subcommands[i].name, subcommands[i].synopsis[0] ? " " : "",
               subcommands[i].synopsis, subcommands[i].purpose);
    puts("\n"
         "Options:\n"
         "  -s, --socket SOCKET  jitsud's control socket (default: $JITSU_SOCKET, else\n"
         "                       " DEFAULT_SOCKET ")\n"
         "  -j, --json           print what jitsud says, one JSON object a line\n"
         "  -f, --follow         events: go on with what happens from now on\n"
         "  -n, --lines COUNT    events: at most this many of the past\n"
         "      --mode MODE      stop: destroy, shutdown or suspend (default: as configured)\n"
         "      --for STATE      wait: off, starting, running, stopping, suspended or failed\n"
         "      --timeout TIME   wait: at most so long, such as 500ms, 10s, 2m or 1.5 (seconds)\n"
         "  -o, --output FILE    pack: the archive to write\n"
         "      --no-compress    pack: add no FILE.br and FILE.gz\n"
         "  -h, --help           show this\n"
         "  -V, --version        show the version of jitsuctl\n"
         "\n"
         "Exit status: 0 done, 1 refused or failed, 2 wrong usage. More: man jitsuctl");
}

static _Noreturn void wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void wrong_usage(const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error("%s\nsee jitsuctl --help", text);
    exit(EXIT_USAGE);
}

/* A plain number is seconds. */
static double parse_timeout(const char *text)
{
    uint64_t nanoseconds;
    char *end;

    if (config_parse_duration(text, &nanoseconds) == 0)
        return (double)nanoseconds / 1e9;
    double seconds = strtod(text, &end);
    if (end == text || *end || !isfinite(seconds) || seconds < 0)
        wrong_usage("--timeout %s: not a time such as 500ms, 10s or 2m", text);
    return seconds;
}

static int64_t parse_lines(const char *text)
{
    char *end;
    long long lines = strtoll(text, &end, 10);

    if (end == text || *end || lines < 0)
        wrong_usage("--lines %s: not a whole number", text);
    return lines;
}

static const char *check_mode(const char *word)
{
    enum config_stop mode;
    if (config_stop_parse(word, &mode) != 0)
        wrong_usage("--mode %s: must be destroy, shutdown or suspend", word);
    return word;
}

static const char *check_state(const char *word)
{
    enum machine_state state;
    if (machine_state_parse(word, &state) != 0)
        wrong_usage("--for %s: must be off, starting, running, stopping, suspended or failed",
                    word);
    return word;
}

/* Takes one option up; returns its bit if only some commands take it, else 0. */
static unsigned take_option(int option, struct arguments *arguments)
{
    switch (option) {
    case 's':
        arguments->socket = optarg;
        return 0;
    case 'j':
        arguments->json = true;
        return 0;
    case 'm':
        arguments->mode = check_mode(optarg);
        return OPTION_MODE;
    case 'F':
        arguments->state = check_state(optarg);
        return OPTION_STATE;
    case 't':
        arguments->timeout = parse_timeout(optarg);
        return OPTION_TIMEOUT;
    case 'f':
        arguments->follow = true;
        return OPTION_FOLLOW;
    case 'n':
        arguments->lines = parse_lines(optarg);
        return OPTION_LINES;
    case 'o':
        arguments->output = optarg;
        return OPTION_OUTPUT;
    case 'c':
        arguments->no_compress = true;
        return OPTION_NO_COMPRESS;
    case 'h':
        print_help();
        exit(finish_output(EXIT_DONE));
    case 'V':
        puts("jitsuctl " PACKAGE_VERSION);
        exit(finish_output(EXIT_DONE));
    default: /* getopt_long() has said what is wrong */
        fputs("jitsuctl: see jitsuctl --help\n", stderr);
        exit(EXIT_USAGE);
    }
}

static const struct subcommand *find_subcommand(const char *name)
{
    if (!name)
        wrong_usage("a command is missing");
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(name, subcommands[i].name) == 0)
            return &subcommands[i];
    wrong_usage("unknown command \"%s\"", name);
}

static void check_arguments(const struct subcommand *subcommand, unsigned options, int operands,
                            const struct arguments *arguments)
{
    static const char *const names[] = {"--mode",  "--for",    "--timeout",    "--follow",
                                        "--lines", "--output", "--no-compress"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (options & ~subcommand->options & 1u << i)
            wrong_usage("%s does not take %s", subcommand->name, names[i]);
    if (subcommand->needs_operand && operands == 0)
        wrong_usage("%s needs a %s", subcommand->name, subcommand->operand);
    if (operands > (subcommand->operand != NULL))
        wrong_usage("%s takes %s operand", subcommand->name, subcommand->operand ? "one" : "no");
    if ((subcommand->options & OPTION_OUTPUT) && !arguments->output)
        wrong_usage("%s needs -o FILE", subcommand->name);
}

int main(int argc, char **argv)
{
    const char *socket = getenv("JITSU_SOCKET");
    struct arguments arguments = {
        .socket = socket && *socket ? socket : DEFAULT_SOCKET, .timeout = -1, .lines = -1};
    unsigned options = 0;
    int option;

    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        options |= take_option(option, &arguments);
    const struct subcommand *subcommand = find_subcommand(argv[optind]);
    int operands = argc - optind - 1;
    if (operands > 0)
        arguments.operand = argv[optind + 1];
    check_arguments(subcommand, options, operands, &arguments);
    return subcommand->function(&arguments);
}
