/* app.h - the owner of everything: built once from a config, handed down, torn down in order.
 *
 * Threads: fields set before app_start() are read only afterwards; config and models are swapped under the lock and
 *          handed out by reference; the rest guards itself.
 * Memory:  the app owns all below. Two apps can run in one process. */
#ifndef Q2A_DOMAIN_APP_H
#define Q2A_DOMAIN_APP_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/crypt.h"
#include "base/log.h"
#include "base/now.h"
#include "domain/config.h"
#include "domain/gauge.h"
#include "domain/keys.h"
#include "domain/pool.h"
#include "domain/seal.h"
#include "domain/stats.h"
#include "domain/store.h"
#include "net/gate.h"
#include "net/httpc.h"
#include "net/jobs.h"
#include "net/net.h"
#include "net/pump.h"
#include "proto/models.h"

enum { APP_PUMPS_MAX = 64 };

struct app;
struct login;
struct keeper;
struct answer;
struct tidy;
struct uploads;
struct videos;
struct responses;
struct settings;
struct tasks;

/* One event loop and what is its own. */
struct app_pump {
  struct app *app;
  struct pump *pump;
  struct gate *gate;
  struct httpc *httpc;
  struct crypt_rng rng;
  struct answer *answers;  /* all that run here */
  atomic_int tidying;      /* calls of domain/tidy under way */
  struct tidy *tidies;     /* all of them */
  struct strbuf scratch;   /* for one event's output; used and emptied within a callback */
  pthread_t thread;
  atomic_bool started;
};

struct app_counts {        /* since start; for health, tests and the log */
  atomic_long chats, chats_failed, chats_gone, attempts, stops, deletes, stock_made, renewals;
};

struct app {
  const struct now *now;
  struct log *log;
  struct jobs *jobs;
  struct jobs *fetch_jobs;  /* downloads from strangers: they may hang without delaying anything else */
  struct jobs *upload_jobs; /* what goes to the upstream, and the folder of the cache */
  struct net *net;
  struct store *store;
  struct seal *seal;
  struct keys *keys;
  struct pool *pool;
  struct responses *responses; /* answers kept for their clients */
  struct login *login;
  struct keeper *keeper;
  struct uploads *uploads;
  struct videos *videos;
  struct gauge *gauge;
  struct stats *stats;
  struct settings *settings;
  struct tasks *tasks;
  void (*restart)(void *ctx);  /* as in app_parts */
  void *restart_ctx;
  struct gate_shared *gates;
  struct app_pump pumps[APP_PUMPS_MAX];
  int pump_n;
  char made_key[KEYS_TEXT]; /* the admin key if one was made at this start: main shows it once and wipes it */
  int64_t started_ms;      /* wall clock */
  atomic_bool draining;    /* no new work */
  atomic_bool ending;      /* the grace is over: nor is any finished that blocks */
  atomic_int chats_open;   /* chats on all pumps */
  struct app_counts counts;

  pthread_mutex_t accounts_lock; /* one writer of account records at a time (domain/accounts.c) */
  pthread_mutex_t lock;    /* guards the two below */
  struct config *config;
  struct models *models;
  enum { MODELS_BUILTIN, MODELS_CACHED, MODELS_LIVE } models_from;
  int64_t models_at_ms;    /* wall clock of the last good list, 0 never */
};

struct config *app_config(struct app *a);  /* a reference: config_unref() */
/* Takes c over; from now on it is what app_config() gives, and pool, log and gates follow it. Only domain/settings calls it. */
void app_set_config(struct app *a, struct config *c);
/* A reference: models_unref(). *source (may be NULL): "live", "cached" or "builtin". */
struct models *app_models(struct app *a, const char **source);
void app_set_models(struct app *a, struct models *m, bool live); /* takes m over */
struct app_pump *app_pump_of(struct app *a, const struct pump *p);

struct app_parts {         /* what a test may replace; zeroed: the real ones */
  const struct now *now;
  const struct transport *transport;
  struct store *store;     /* taken over */
  const struct config_input *input; /* how config was loaded, for changes at run time; NULL: from nothing */
  void (*restart)(void *ctx); /* asks the process to restart itself (any thread, must not block); NULL: it cannot */
  void *restart_ctx;
};
/* Opens the store, loads accounts and keys, builds pumps and gates; no thread of the pumps runs yet. *config is taken
 * over. Q_* with words in *e; *exit_code is what the process should end with. */
enum q_status app_new(struct app **out, struct config *config, struct log *log, const struct app_parts *parts,
                      const struct gate_config *gate, struct q_error *e, int *exit_code) Q_MUST_USE;
enum q_status app_start(struct app *a) Q_MUST_USE;  /* pump threads, keeper */
/* Drains: no new connections, running chats end within grace_ms or get an error event; then everything stops. */
void app_stop(struct app *a, int64_t grace_ms, const atomic_bool *hurry);
/* Before app_stop(), when others will listen on the same sockets: they are let go, and who was accepted already has its request
 * answered first. */
void app_unlisten(struct app *a);
void app_shed(struct app *a); /* memory is short: what can be had again is given back. Not on a pump */
void app_destroy(struct app *a);
/* The net as an app of this config has it, for commands that need no app. NULL with words in *e. */
struct net *app_net(const struct config *c, struct jobs *jobs, const struct transport *transport, const struct now *now, struct q_error *e) Q_MUST_USE;

struct app_health { bool alive, ready, degraded; const char *reasons[4]; int reason_n; int total, usable; int64_t uptime_s; };
struct app_health app_health(struct app *a);

#endif
