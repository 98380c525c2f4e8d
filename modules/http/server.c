/* civetweb's source is included here, unmodified; everything else in this file speaks our own types. */
#include "civetweb.c"

#include "http/server.h"

#include "base/mem.h"

enum {
  SERVER_SLOTS = 256,               /* requests in civetweb's queue or hands */
  SERVER_FIRST_ID = 0x40000000,     /* far above any descriptor: a system call on it is EBADF */
  SERVER_STACK = 256 * 1024
};

struct server {
  struct server_config config;
  struct mg_context *mg;
  pthread_mutex_t lock;             /* guards what follows */
  struct client *slots[SERVER_SLOTS];
  int free_slots[SERVER_SLOTS], free_n;
  struct client *first, *last;      /* in line, linked through client_request.link */
  int busy;
};

/* With the lock held: fills free slots from the line. The pseudo sockets are queued by the caller. */
static int server_take_line(struct server *s, int *ids)
{
  int n = 0;
  while(s->first && s->free_n) {
    struct client *c = s->first;
    s->first = client_request(c)->link;
    if(!s->first) s->last = NULL;
    int slot = s->free_slots[--s->free_n];
    s->slots[slot] = c;
    ids[n++] = slot;
  }
  return n;
}

/* Not by produce_socket(), which wakes a worker for every socket while it holds the lock that this worker wants first: two wake-ups
 * a request. There are never more than SERVER_SLOTS, so there is always room. */
static void server_queue(struct server *s, const int *ids, int n)
{
  if(!n) return;
  pthread_mutex_lock(&s->mg->thread_mutex);
  for(int i = 0; i < n; i++) {
    struct socket *so = &s->mg->squeue[s->mg->sq_head++ % s->mg->sq_size];
    memset(so, 0, sizeof *so);
    so->sock = SERVER_FIRST_ID + ids[i];
    so->lsa.sa.sa_family = so->rsa.sa.sa_family = AF_INET;
  }
  pthread_mutex_unlock(&s->mg->thread_mutex);
}

static int server_queued(struct server *s)
{
  pthread_mutex_lock(&s->mg->thread_mutex);
  int n = s->mg->sq_head - s->mg->sq_tail;
  pthread_mutex_unlock(&s->mg->thread_mutex);
  return n;
}

/* As many workers as there are requests; but one that is awake takes all there are before it sleeps again, and often the first has
 * done so when the second would be woken. */
void server_wake(struct server *s)
{
  int n = server_queued(s);
  for(int i = 0; i < n && i < s->config.threads; i++)
    if(i == 0 || server_queued(s)) pthread_cond_signal(&s->mg->sq_full);
}

void server_give(struct server *s, struct client *c)
{
  int ids[SERVER_SLOTS];
  client_request(c)->link = NULL;
  pthread_mutex_lock(&s->lock);
  s->busy++;
  if(s->last) client_request(s->last)->link = c;
  else s->first = c;
  s->last = c;
  int n = server_take_line(s, ids);
  pthread_mutex_unlock(&s->lock);
  server_queue(s, ids, n);
}

int server_busy(struct server *s)
{
  pthread_mutex_lock(&s->lock);
  int n = s->busy;
  pthread_mutex_unlock(&s->lock);
  return n;
}

/* ---- civetweb's callbacks ---- */

static struct server *server_of(const struct mg_connection *conn)
{
  return mg_get_user_data(conn->phys_ctx);
}

/* Before civetweb reads: the head goes into its buffer. */
static int server_init_connection(const struct mg_connection *const_conn, void **data)
{
  struct mg_connection *conn = (struct mg_connection *)const_conn;
  struct server *s = server_of(conn);
  int slot = conn->client.sock - SERVER_FIRST_ID;
  pthread_mutex_lock(&s->lock);
  struct client *c = s->slots[slot];
  pthread_mutex_unlock(&s->lock);
  const struct http1_request *head = client_request(c)->head;
  const char *start = head->method.p; /* the head begins with its method */
  if(head->head_n <= (size_t)conn->buf_size) {
    memcpy(conn->buf, start, head->head_n);
    conn->data_len = (int)head->head_n;
  }
  conn->must_close = 1;
  *data = c;
  return 0;
}

/* Hands the client on, once. Whatever civetweb does afterwards finds no socket. */
static void server_hand_over(struct mg_connection *conn, bool refused)
{
  struct server *s = server_of(conn);
  struct client *c = mg_get_user_connection_data(conn);
  if(!c) return;
  int slot = conn->client.sock - SERVER_FIRST_ID, ids[SERVER_SLOTS];
  mg_set_user_connection_data(conn, NULL);
  conn->client.sock = INVALID_SOCKET;
  conn->must_close = 1;
  pthread_mutex_lock(&s->lock);
  s->slots[slot] = NULL;
  s->free_slots[s->free_n++] = slot;
  s->busy--;
  int n = server_take_line(s, ids);
  pthread_mutex_unlock(&s->lock);
  server_queue(s, ids, n); /* this worker looks at the queue before it sleeps: none need be woken */
  s->config.on_head(s->config.ctx, c, refused);
}

static int server_begin_request(struct mg_connection *conn)
{
  server_hand_over(conn, false);
  return 200;
}

static int server_http_error(struct mg_connection *conn, int status, const char *message)
{
  (void)status;
  (void)message;
  server_hand_over(conn, true);
  return 0;
}

static void server_connection_close(const struct mg_connection *conn)
{
  server_hand_over((struct mg_connection *)conn, true); /* only if nothing else did */
}

/* Runs before the accept thread: without listening sockets it only sleeps. */
static void server_init_context(const struct mg_context *const_mg)
{
  struct mg_context *mg = (struct mg_context *)const_mg;
  for(unsigned i = 0; i < mg->num_listening_sockets; i++) closesocket(mg->listening_sockets[i].sock);
  mg->num_listening_sockets = 0;
}

/* civetweb's own words. They may hold parts of a request: only at the debug level. */
static void mg_cry_internal_impl(const struct mg_connection *conn, const char *func, unsigned line, const char *fmt, va_list ap)
{
  char text[300];
  (void)func;
  (void)line;
  mg_vsnprintf(NULL, NULL, text, sizeof text, fmt, ap);
  struct mg_context *mg = conn ? conn->phys_ctx : NULL;
  struct server *s = mg ? mg_get_user_data(mg) : NULL;
  if(s) LOG_DEBUG(s->config.log, "civetweb", "", "%s", text);
}

static void log_access(const struct mg_connection *conn)
{
  (void)conn;
}

struct server *server_new(const struct server_config *c)
{
  char threads[16], head_max[16], queue[16];
  const char *options[] = { "listening_ports", "127.0.0.1:0", "num_threads", threads, "max_request_size", head_max,
                            "connection_queue", queue, "enable_keep_alive", "no", "access_control_allow_methods", "", NULL };
  struct mg_callbacks callbacks = { .begin_request = server_begin_request, .init_context = server_init_context,
                                    .init_connection = server_init_connection, .http_error = server_http_error,
                                    .connection_close = server_connection_close };
  struct server *s = mem_zalloc(sizeof *s);
  if(!s) return NULL;
  s->config = *c;
  pthread_mutex_init(&s->lock, NULL);
  for(int i = 0; i < SERVER_SLOTS; i++) s->free_slots[s->free_n++] = i;
  mg_snprintf(NULL, NULL, threads, sizeof threads, "%d", c->threads);
  mg_snprintf(NULL, NULL, head_max, sizeof head_max, "%d", HTTP1_HEAD_MAX + 16);
  mg_snprintf(NULL, NULL, queue, sizeof queue, "%d", SERVER_SLOTS + 1);
  mg_init_library(0);
  s->mg = mg_start(&callbacks, s, options);
  if(s->mg) return s;
  server_destroy(s);
  return NULL;
}

void server_destroy(struct server *s)
{
  if(!s) return;
  if(s->mg) mg_stop(s->mg);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}
