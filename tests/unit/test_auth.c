/* Keys in requests, guessing slowed, addresses behind trusted proxies. */
#include "http/auth.h"

#include "t.h"

static void t_failures(void)
{
  struct auth *a = auth_new();
  int64_t delay;
  int retry;
  for(int i = 1; i <= 40; i++) {
    enum q_status st = auth_failed(a, S("1.2.3.4"), 1000 + i, &delay, &retry);
    CHECK_INT(st, i > 30 ? Q_AUTH_FLOOD : Q_BAD_KEY);
    CHECK_INT(delay, i >= 5 ? 250 : 0);
    CHECK(retry > 0 && retry <= 61);
  }
  CHECK_INT(auth_failed(a, S("1.2.3.5"), 1040, &delay, &retry), Q_BAD_KEY); /* another address */
  CHECK_INT(auth_failed(a, S("1.2.3.4"), 1001 + 60001, &delay, &retry), Q_BAD_KEY); /* a minute later */
  for(int i = 0; i < 5000; i++) { /* many addresses: bounded, and no crash */
    char address[32];
    snprintf(address, sizeof address, "10.0.%d.%d", i / 250, i % 250);
    (void)auth_failed(a, str_z(address), 2000, &delay, &retry);
  }
  auth_destroy(a);
}

static void t_address(void)
{
  static const char *const nets[] = { "127.0.0.1", "10.0.0.0/8", "fd00::/8" };
  struct config_list trusted = { 3, (const char **)nets }, none = { 0, NULL };
  static const struct { const char *peer, *forwarded, *want; } rows[] = {
    { "127.0.0.1", "1.2.3.4", "1.2.3.4" }, { "127.0.0.1", "9.9.9.9, 1.2.3.4, 10.1.1.1", "1.2.3.4" }, { "8.8.8.8", "1.2.3.4", "8.8.8.8" }, { "127.0.0.1", "", "127.0.0.1" },
    { "127.0.0.1", "nonsense", "127.0.0.1" }, { "10.200.0.1", "2001:db8::1", "2001:db8::1" }, { "fd00::1", "1.2.3.4", "1.2.3.4" }, { "127.0.0.1", "10.0.0.5", "10.0.0.5" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].forwarded;
    CHECK_STR(auth_address(&trusted, str_z(rows[i].peer), str_z(rows[i].forwarded)), str_z(rows[i].want));
    CHECK_STR(auth_address(&none, str_z(rows[i].peer), str_z(rows[i].forwarded)), str_z(rows[i].peer));
  }
}

T_MAIN(T(t_failures), T(t_address))
