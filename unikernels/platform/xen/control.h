/* The toolstack's orders. */
#ifndef JITSU_XEN_CONTROL_H
#define JITSU_XEN_CONTROL_H

struct control_orders {
    /* The machine is to end. */
    void (*finish)(void);
    /* The machine is to be saved: returns when it goes on. */
    void (*save)(void);
};

/* Heeds them from now on, and says so to the toolstack. */
void control_start(const struct control_orders *orders);

#endif
