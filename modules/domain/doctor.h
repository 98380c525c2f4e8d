/* doctor.h - looks for what is wrong with an installation and says in plain words what to do.
 *
 * Threads: pure but for the calls it makes; blocks (files, network): jobs and the command line only.
 * Time:    each call to the network ends within 10 s. Memory: the texts live during the callback.
 * Trust:   no finding repeats a key, a password or the user info of a URL. */
#ifndef Q2A_DOMAIN_DOCTOR_H
#define Q2A_DOMAIN_DOCTOR_H

#include "domain/app.h"

struct doctor_finding { const char *id, *level, *message, *fix; }; /* level: "ok", "warn", "error" */
struct doctor {
  const struct config *config;
  struct net *net;
  const struct now *now;
  struct app *app;   /* the running gateway; NULL: */
  struct store *store;       /* that of a gateway which does not run, or NULL: none was made yet */
  const char *store_trouble; /* or why it cannot be opened, */
  bool store_used;           /* which is because a gateway has it open */
  void (*tell)(void *ctx, const struct doctor_finding *f);
  void *ctx;
};
/* True: nothing of level "error". */
bool doctor_look(const struct doctor *d);

/* Single checks; *ms is how long they took. Q_OK or a status with words. */
enum q_status doctor_try_proxy(const struct config *c, struct net *net, const struct now *now, struct str proxy, int64_t *ms, struct q_error *e);
enum q_status doctor_try_redis(struct net *net, const struct now *now, struct str url, int64_t *ms, struct q_error *e);
/* Whether files can be made in a folder, or the folder itself: a file is made, and taken away. */
bool doctor_writable(const char *dir);
/* statfs.f_type of file systems that others may write at the same time, or that a program of the user's makes. */
bool doctor_networked_type(unsigned long type);

#endif
