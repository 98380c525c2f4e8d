/* Fresh chats kept ready (CHAT_STOCK). */
#include "base/mem.h"
#include "domain/pool_own.h"

enum { POOL_STOCK_RECENT_MS = 10 * 60 * 1000 };

static bool pool_fresh_is(const struct pool_fresh *f, struct str model)
{
  return str_eq(str_z(f->model), model);
}

bool pool_stock_take(struct pool *p, struct account *a, struct str model, struct pool_chat *out)
{
  bool found = false;
  pthread_mutex_lock(&p->lock);
  struct pool_entry *e = a->entry;
  for(int i = 0; i < POOL_STOCK_SLOTS && e->fresh && !found; i++) {
    struct pool_fresh *f = &e->fresh[i];
    if(!f->made_ms || !pool_fresh_is(f, model)) continue;
    str_copy(out->id, sizeof out->id, str_z(f->id));
    *f = (struct pool_fresh){ .made_ms = 0 };
    found = true;
  }
  pthread_mutex_unlock(&p->lock);
  return found;
}

bool pool_stock_wanted(struct pool *p, struct account *a, struct str model, int64_t now_ms)
{
  bool wanted = false;
  struct pool_fresh *spare = NULL;
  if(model.n >= sizeof spare->model) return false;
  pthread_mutex_lock(&p->lock);
  struct pool_entry *e = a->entry;
  int have = 0;
  if(!e->fresh && p->config.stock) e->fresh = mem_zalloc(POOL_STOCK_SLOTS * sizeof *e->fresh);
  for(int i = 0; i < POOL_STOCK_SLOTS && e->fresh; i++) {
    struct pool_fresh *f = &e->fresh[i];
    if(!f->made_ms && !f->filling) spare = f;
    else if(pool_fresh_is(f, model)) have++;
  }
  if(!a->removed && have < p->config.stock && spare && now_ms - a->last_used_ms <= POOL_STOCK_RECENT_MS) {
    spare->filling = wanted = true;
    str_copy(spare->model, sizeof spare->model, model);
  }
  pthread_mutex_unlock(&p->lock);
  return wanted;
}

static struct pool_fresh *pool_fresh_filling(struct pool_entry *e, struct str model)
{
  for(int i = 0; i < POOL_STOCK_SLOTS && e->fresh; i++)
    if(e->fresh[i].filling && pool_fresh_is(&e->fresh[i], model)) return &e->fresh[i];
  return NULL;
}

bool pool_stock_put(struct pool *p, struct account *a, struct str model, int64_t now_ms, struct str id)
{
  pthread_mutex_lock(&p->lock);
  struct pool_fresh *f = pool_fresh_filling(a->entry, model);
  bool ok = f && id.n < sizeof f->id;
  if(f) f->filling = false;
  if(ok) {
    str_copy(f->id, sizeof f->id, id);
    f->made_ms = now_ms;
  }
  pthread_mutex_unlock(&p->lock);
  return ok;
}

void pool_stock_failed(struct pool *p, struct account *a, struct str model)
{
  pthread_mutex_lock(&p->lock);
  struct pool_fresh *f = pool_fresh_filling(a->entry, model);
  if(f) *f = (struct pool_fresh){ .made_ms = 0 };
  pthread_mutex_unlock(&p->lock);
}

bool pool_stock_old(struct pool *p, int64_t now_ms, int64_t max_age_ms, struct account **a, struct pool_chat *out)
{
  bool found = false;
  pthread_mutex_lock(&p->lock);
  for(int i = 0; i < p->n && !found; i++)
    for(int k = 0; k < POOL_STOCK_SLOTS && p->entries[i]->fresh && !found; k++) {
      struct pool_fresh *f = &p->entries[i]->fresh[k];
      if(!f->made_ms || now_ms - f->made_ms <= max_age_ms) continue;
      str_copy(out->id, sizeof out->id, str_z(f->id));
      *f = (struct pool_fresh){ .made_ms = 0 };
      *a = p->entries[i]->a;
      (*a)->refs++;
      found = true;
    }
  pthread_mutex_unlock(&p->lock);
  return found;
}
