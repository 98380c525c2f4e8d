/* resume.h - what a process leaves itself when it executes its own binary anew: listening sockets, and when it restarted.
 *
 * Threads: main. The variable QWEN2API_RESUME carries it: "PID:FD,FD:MS,MS". A value of another process id means nothing, so
 * that no child of ours or stranger's environment is believed. The clock is the monotonic one, which an exec does not touch. */
#ifndef Q2A_MAIN_RESUME_H
#define Q2A_MAIN_RESUME_H

#include "domain/memwatch.h"
#include "main/listen.h"

/* Takes over what the former image left: true, and *set has its sockets (checked to be listening). */
bool resume_take(char **envp, struct listen_set *set, struct memwatch *m);
/* Executes this binary with the same arguments and environment; returns only if that is impossible. */
void resume_exec(char **argv, char **envp, const struct listen_set *set, const struct memwatch *m);

#endif
