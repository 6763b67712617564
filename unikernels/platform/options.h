/* Where the options of jitsu/options.h come from. */
#ifndef JITSU_PLATFORM_OPTIONS_H
#define JITSU_PLATFORM_OPTIONS_H

/* The command line, ended by a NUL; it must stay as it is. Called once, first. */
void options_start(const char *command_line);

#endif
