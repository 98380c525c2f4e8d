/* api 3.15: the estimate learns each model's real prompt counts, slowly, within bounds. */
#include "domain/gauge.h"

#include "t.h"

static void t_learns(void)
{
  struct gauge *g = gauge_new();
  CHECK_INT(gauge_tokens(g, S("m"), 1000), 1000); /* nothing known */
  gauge_learn(g, S("m"), 1000, 1500);
  CHECK_INT(gauge_tokens(g, S("m"), 1000), 1500); /* the first answer is all there is */
  for(int i = 0; i < 200; i++) gauge_learn(g, S("m"), 1000, 800);
  int64_t now = gauge_tokens(g, S("m"), 1000);
  CHECK(now >= 795 && now <= 810);
  CHECK_INT(gauge_tokens(g, S("other"), 1000), 1000);
  gauge_learn(g, S("m"), 1000, 1600); /* one odd answer moves it by an eighth of the way */
  CHECK(gauge_tokens(g, S("m"), 1000) < 920);
  gauge_destroy(g);
}

static void t_bounds(void)
{
  struct gauge *g = gauge_new();
  gauge_learn(g, S("high"), 100, 1000000);
  gauge_learn(g, S("low"), 1000000, 1);
  CHECK_INT(gauge_tokens(g, S("high"), 100), 200);
  CHECK_INT(gauge_tokens(g, S("low"), 100), 50);
  gauge_learn(g, S("tiny"), 3, 300);  /* too short to say anything */
  gauge_learn(g, S("none"), 100, 0);  /* no number */
  CHECK_INT(gauge_tokens(g, S("tiny"), 100), 100);
  CHECK_INT(gauge_tokens(g, S("none"), 100), 100);
  gauge_destroy(g);
  gauge_destroy(NULL);
}

/* More models than there is room for: the one not heard of for longest gives way. */
static void t_room(void)
{
  struct gauge *g = gauge_new();
  char name[16];
  for(int i = 0; i < 33; i++) {
    snprintf(name, sizeof name, "m%d", i);
    gauge_learn(g, str_z(name), 100, 150);
    if(i > 0) gauge_learn(g, S("m1"), 100, 150); /* is used all the time */
  }
  CHECK_INT(gauge_tokens(g, S("m0"), 100), 100);
  CHECK_INT(gauge_tokens(g, S("m1"), 100), 150);
  CHECK_INT(gauge_tokens(g, S("m32"), 100), 150);
  gauge_destroy(g);
}

T_MAIN(T(t_learns), T(t_bounds), T(t_room))
