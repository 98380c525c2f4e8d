/* command.h - the command line: subcommands, start, signals, orderly stop. Threads: main.
 *
 * Exit codes: 0 ok, 1 trouble at run time, 2 usage, 65 stored data newer, damaged or sealed with another key, 69 address or
 * data directory taken, 73 cannot create a file, 78 configuration. Standard output has only what a command prints. */
#ifndef Q2A_MAIN_COMMAND_H
#define Q2A_MAIN_COMMAND_H

int command_main(int argc, char **argv, char **envp);

#endif
