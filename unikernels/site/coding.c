#include "site/coding.h"

#include "http/text.h"

#define WEIGHT_MOST  1000 /* thousandths */
#define WEIGHT_LEAST 1
#define NOT_NAMED    (-1)

const char *const coding_suffixes[CODINGS] = {
    [CODING_BROTLI] = ".br",
    [CODING_GZIP] = ".gz",
};
const char *const coding_names[CODINGS] = {
    [CODING_BROTLI] = "br",
    [CODING_GZIP] = "gzip",
};

/* "1", "0.5", ... in thousandths; what is no weight counts as 0. */
static int parse_weight(struct http_text text)
{
    int weight, place = WEIGHT_MOST / 10;

    if (text.length == 0 || text.length > 5 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.length > 1 && text.at[1] != '.'))
        return 0;
    weight = (text.at[0] - '0') * WEIGHT_MOST;
    for (size_t i = 2; i < text.length; i++, place /= 10) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0;
        weight += (text.at[i] - '0') * place;
    }
    return weight <= WEIGHT_MOST ? weight : 0;
}

/* The weight among a coding's parameters. */
static int find_weight(struct http_text parameters)
{
    struct http_text parameter, name;

    while (http_next_piece(&parameters, ';', &parameter)) {
        if (http_next_piece(&parameter, '=', &name) && parameter.at &&
            http_equals_any_case(http_trim(name), "q"))
            return parse_weight(http_trim(parameter));
    }
    return WEIGHT_MOST;
}

/* What Accept-Encoding says of each coding, of none, and of all it does not name. */
struct weights {
    int of[CODINGS + 1];
    int others;
};

static void parse_weights(struct http_text list, struct weights *weights)
{
    struct http_text member, name;

    while (http_next_piece(&list, ',', &member)) {
        http_next_piece(&member, ';', &name);
        int weight = find_weight(member);
        name = http_trim(name);
        if (http_equals(name, "*"))
            weights->others = weight;
        else if (http_equals_any_case(name, "br"))
            weights->of[CODING_BROTLI] = weight;
        else if (http_equals_any_case(name, "gzip") || http_equals_any_case(name, "x-gzip"))
            weights->of[CODING_GZIP] = weight;
        else if (http_equals_any_case(name, "identity"))
            weights->of[CODING_NONE] = weight;
    }
}

enum coding coding_choose(const struct http_request *request, unsigned available)
{
    struct http_text list = request->fields[HTTP_ACCEPT_ENCODING];
    struct weights weights = {{NOT_NAMED, NOT_NAMED, NOT_NAMED}, NOT_NAMED};
    enum coding best = CODING_NONE;

    if (available == 0 || !list.at)
        return CODING_NONE;
    parse_weights(list, &weights);
    int best_weight = weights.of[CODING_NONE];
    if (best_weight == NOT_NAMED) /* it may be, unless all others are refused */
        best_weight = weights.others == 0 ? 0 : WEIGHT_LEAST;
    for (enum coding coding = 0; coding < CODINGS; coding++) {
        int weight = weights.of[coding];
        if (weight == NOT_NAMED)
            weight = weights.others;
        if (!(available & 1u << coding) || weight <= 0)
            continue;
        if (weight > best_weight || (weight == best_weight && best == CODING_NONE)) {
            best = coding;
            best_weight = weight;
        }
    }
    return best;
}
