/* The toolstack's orders. */
#ifndef JITSU_XEN_CONTROL_H
#define JITSU_XEN_CONTROL_H

/* Heeds those that the machine end, from now on: they go to `finish`. */
void control_start(void (*finish)(void));

#endif
