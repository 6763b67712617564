/* Text from outside, made harmless for HTML. */
#ifndef JITSU_ADMIN_HTML_H
#define JITSU_ADMIN_HTML_H

struct evbuffer;

/* Appends `text` as it stands in an element or a quoted attribute: & < > " ' are escaped, what is
 * not UTF-8 is replaced, control characters appear as their symbols (U+2400 and following). */
void html_text(struct evbuffer *out, const char *text);

#endif
