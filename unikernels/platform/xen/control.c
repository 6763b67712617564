/* The toolstack's orders, which come by xenstore: control/shutdown. */
#include "platform/xen/control.h"

#include <string.h>

#include "platform/xen/store.h"

#define DIRECTORY "control"
#define NAME      "shutdown"

static void (*finish_machine)(void);

static void order_changed(void)
{
    char order[STORE_VALUE_MAX];

    store_ask_read(DIRECTORY, NAME);
    if (!store_answer_text(order) || order[0] == '\0')
        return;
    /* An empty value is how a machine says that it has heard. */
    store_ask_write(DIRECTORY, NAME, "");
    store_answer_done();
    if (strcmp(order, "poweroff") == 0 || strcmp(order, "halt") == 0 ||
        strcmp(order, "reboot") == 0)
        finish_machine();
}

void control_start(void (*finish)(void))
{
    finish_machine = finish;
    store_ask_watch(DIRECTORY, NAME, order_changed);
    store_answer_done();
}
