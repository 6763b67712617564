#include "www/page.h"

#include <stdio.h>

#define NAME_MAX 256

#define STYLE                                                                                      \
    ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#68707b;--paper:#fbfaf7;--line:#e4e1d9;"    \
    "--mark:#c8452b}"                                                                              \
    "@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--dim:#9aa0a8;--paper:#15171a;"         \
    "--line:#2c3036;--mark:#ff7a5c}}"                                                              \
    "*{box-sizing:border-box}"                                                                     \
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:2rem;"                 \
    "background:var(--paper);color:var(--ink);font:1.05rem/1.6 "                                   \
    "ui-sans-serif,system-ui,sans-serif}"                                                          \
    "main{max-width:36rem}"                                                                        \
    ".word{font:600 .9rem/1 ui-monospace,monospace;letter-spacing:.08em;color:var(--mark)}"        \
    "h1{font-size:clamp(1.9rem,6vw,2.9rem);line-height:1.12;letter-spacing:-.02em;"                \
    "margin:1rem 0 1.2rem;text-wrap:balance}"                                                      \
    "p{margin:0 0 1rem}"                                                                           \
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1.2rem;"          \
    "margin:2rem 0 0;padding:1.4rem 0 0;border-top:1px solid var(--line)}"                         \
    "dt{color:var(--dim);font-size:.85rem}"                                                        \
    "dd{margin:0;font:600 1.35rem/1.3 ui-monospace,monospace}"

#define PAGE                                                                                       \
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                      \
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"                    \
    "<title>%s</title>\n<style>" STYLE "</style>\n</head>\n<body>\n<main>\n"                       \
    "<div class=\"word\">jitsu</div>\n"                                                            \
    "<h1>This machine was started for your request.</h1>\n"                                        \
    "<p>Nothing was running here. You asked for <b>%s</b>, and a virtual machine of its own "      \
    "began "                                                                                       \
    "to boot: a unikernel, with no other operating system in it, that serves this page and "       \
    "nothing else. When nobody asks any more, it is gone again.</p>\n"                             \
    "<dl>\n<div><dt>from entry to ready</dt><dd>%u.%02u ms</dd></div>\n"                           \
    "<div><dt>memory left over</dt><dd>%u.%u MB</dd></div>\n</dl>\n"                               \
    "</main>\n</body>\n</html>\n"

/* The name as it can stand in HTML: letters, digits and what else a domain name has. */
static void copy_name(char text[NAME_MAX], const char *name, size_t length)
{
    size_t at = 0;

    for (size_t i = 0; i < length && at + 1 < NAME_MAX; i++) {
        char c = name[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '.' || c == '-' || c == '_')
            text[at++] = c;
    }
    text[at] = '\0';
}

size_t page_write(char text[PAGE_SIZE_MAX], const struct page_facts *facts)
{
    char name[NAME_MAX];
    unsigned hundredths = (unsigned)(facts->boot_nanoseconds / 10000);
    unsigned tenths = (unsigned)(facts->memory / 100000);

    copy_name(name, facts->name, facts->name_length);
    int length =
        snprintf(text, PAGE_SIZE_MAX, PAGE, name[0] ? name : "jitsu", name[0] ? name : "this page",
                 hundredths / 100, hundredths % 100, tenths / 10, tenths % 10);
    return (size_t)length < PAGE_SIZE_MAX ? (size_t)length : PAGE_SIZE_MAX - 1;
}
