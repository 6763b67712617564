/* The toolstack's orders, which come by xenstore: control/shutdown. */
#include "platform/xen/control.h"

#include <string.h>

#include "platform/xen/store.h"

#define DIRECTORY "control"
#define NAME      "shutdown"

static const struct control_orders *heeded;

static void order_changed(void)
{
    char order[STORE_VALUE_MAX];

    store_ask_read(DIRECTORY, NAME);
    if (!store_answer_text(order) || order[0] == '\0')
        return;
    /* An empty value is how a machine says that it has heard. */
    store_ask_write(DIRECTORY, NAME, "");
    store_answer_done();
    if (strcmp(order, "suspend") == 0)
        heeded->save();
    else if (strcmp(order, "poweroff") == 0 || strcmp(order, "halt") == 0 ||
             strcmp(order, "reboot") == 0)
        heeded->finish();
}

void control_start(const struct control_orders *orders)
{
    static const char *const features[] = {"feature-poweroff", "feature-reboot", "feature-suspend"};
    enum { FEATURES = sizeof features / sizeof features[0] };

    heeded = orders;
    store_ask_watch(DIRECTORY, NAME, order_changed);
    for (unsigned i = 0; i < FEATURES; i++)
        store_ask_write(DIRECTORY, features[i], "1");
    /* A toolstack that does not want to know gives no orders either. */
    for (unsigned i = 0; i < FEATURES + 1; i++)
        store_answer_done();
}
