/* The files of a site as answers to HTTP requests: index.html of a directory, precompressed files
 * beside those that they stand for, conditional requests and ranges, /404.html for what is not
 * there. */
#ifndef JITSU_SITE_ANSWER_H
#define JITSU_SITE_ANSWER_H

#include "jitsu/http.h"
#include "site/site.h"

void site_answer(const struct site *site, const struct http_request *request,
                 struct http_response *response);

#endif
