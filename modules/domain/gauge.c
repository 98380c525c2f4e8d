#include "domain/gauge.h"

#include <pthread.h>

#include "base/mem.h"

enum { GAUGE_MODELS = 32, GAUGE_WEIGHT = 8 /* a new answer counts for one in this many */, GAUGE_LEAST = 16 /* tokens */ };

struct gauge {
  pthread_mutex_t lock;
  struct { char model[100]; double ratio; unsigned used; } v[GAUGE_MODELS];
  unsigned clock;
};

struct gauge *gauge_new(void)
{
  struct gauge *g = mem_zalloc(sizeof *g);
  if(g) pthread_mutex_init(&g->lock, NULL);
  return g;
}

void gauge_destroy(struct gauge *g)
{
  if(!g) return;
  pthread_mutex_destroy(&g->lock);
  mem_free(g);
}

static int gauge_find(const struct gauge *g, struct str model)
{
  for(int i = 0; i < GAUGE_MODELS; i++)
    if(g->v[i].model[0] && str_eq(str_z(g->v[i].model), model)) return i;
  return -1;
}

int64_t gauge_tokens(struct gauge *g, struct str model, int64_t estimate)
{
  pthread_mutex_lock(&g->lock);
  int i = gauge_find(g, model);
  double ratio = i < 0 ? 1 : g->v[i].ratio;
  pthread_mutex_unlock(&g->lock);
  return (int64_t)((double)estimate * ratio + 0.5);
}

void gauge_learn(struct gauge *g, struct str model, int64_t estimate, int64_t real)
{
  if(estimate < GAUGE_LEAST || real <= 0 || model.n == 0 || model.n >= sizeof g->v[0].model) return;
  double seen = (double)real / (double)estimate;
  seen = seen < 0.5 ? 0.5 : seen > 2 ? 2 : seen;
  pthread_mutex_lock(&g->lock);
  int i = gauge_find(g, model);
  if(i < 0) {
    i = 0;
    for(int k = 1; k < GAUGE_MODELS; k++)
      if(g->v[k].used < g->v[i].used) i = k;
    str_copy(g->v[i].model, sizeof g->v[i].model, model);
    g->v[i].ratio = seen;
  }
  g->v[i].ratio += (seen - g->v[i].ratio) / (double)GAUGE_WEIGHT; /* clang 19 minds double / enum */
  g->v[i].used = ++g->clock;
  pthread_mutex_unlock(&g->lock);
}
