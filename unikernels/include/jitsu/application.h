/* The application: what it must have, and how it lives.
 *
 * The platform calls application_main() once console, clock, options and boot module work. An
 * application of the network sets up what it serves (stream.h) and ends in network_serve(). */
#ifndef JITSU_APPLICATION_H
#define JITSU_APPLICATION_H

/* Written by the application. When it returns, the machine is powered off. */
void application_main(void);

/* Ends the machine: as a success, or as a failure with a reason for the console, one line without
 * its end. */
_Noreturn void application_power_off(void);
_Noreturn void application_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
