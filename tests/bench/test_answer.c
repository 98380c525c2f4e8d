/* Does the checker of the benchmark see what is wrong? Each row is fed whole and byte by byte. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

#define HEAD(type) "HTTP/1.1 200 OK\r\nContent-Type: " type "\r\nTransfer-Encoding: chunked\r\n\r\n"
#define FRAME "\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\","
#define CHUNK(delta, end) \
  "data: {" FRAME "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" end "}]}\n\n"
#define ROLE CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null")
#define TEXT(t) CHUNK("{\"content\":\"" t "\"}", "null")
#define FINISH CHUNK("{}", "\"stop\"")
#define USAGE_OF(n) \
  "data: {" FRAME "\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":" n "}}\n\n"
#define USAGE USAGE_OF("3")
#define DONE "data: [DONE]\n\n"
#define GOOD ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH USAGE DONE
#define CHAT_OF(text, why) \
  "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0," \
  "\"message\":{\"role\":\"assistant\",\"content\":\"" text "\"},\"finish_reason\":\"" why "\"}]," \
  "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}"

static const struct row {
  const char *name;
  enum answer_kind kind;
  const char *head, *body, *tail; /* the body goes out as one chunk when `head` is chunked; tail follows it */
  int want;
} rows[] = {
  { "stream", ANSWER_STREAM, HEAD("text/event-stream; charset=utf-8"), GOOD, "0\r\n\r\n", 1 },
  { "heartbeats", ANSWER_STREAM, HEAD("text/event-stream"), ": keep-alive\n\n" GOOD, "0\r\n\r\n", 1 },
  { "two deltas in one chunk", ANSWER_STREAM, HEAD("text/event-stream"),
    ROLE TEXT("7.0 hhhh7.1 iiii") FINISH USAGE DONE, "0\r\n\r\n", 1 },
  { "cut before the last chunk", ANSWER_STREAM, HEAD("text/event-stream"), GOOD, "", 0 },
  { "bytes after the end", ANSWER_STREAM, HEAD("text/event-stream"), GOOD, "0\r\n\r\nx", -1 },
  { "trailer damaged", ANSWER_STREAM, HEAD("text/event-stream"), GOOD, "0\r\n\n", -1 },
  { "wrong type", ANSWER_STREAM, HEAD("application/json"), GOOD, "0\r\n\r\n", -1 },
  { "a letter differs", ANSWER_STREAM, HEAD("text/event-stream"),
    ROLE TEXT("7.0 hhhh") TEXT("7.1 iiij") FINISH USAGE DONE, "0\r\n\r\n", -1 },
  { "a delta twice", ANSWER_STREAM, HEAD("text/event-stream"),
    ROLE TEXT("7.0 hhhh") TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH USAGE DONE, "0\r\n\r\n", -1 },
  { "a delta missing", ANSWER_STREAM, HEAD("text/event-stream"), ROLE TEXT("7.0 hhhh") FINISH USAGE DONE, "0\r\n\r\n",
    -1 },
  { "no role", ANSWER_STREAM, HEAD("text/event-stream"), TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH USAGE DONE,
    "0\r\n\r\n", -1 },
  { "two finishes", ANSWER_STREAM, HEAD("text/event-stream"),
    ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH FINISH USAGE DONE, "0\r\n\r\n", -1 },
  { "no finish", ANSWER_STREAM, HEAD("text/event-stream"), ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") USAGE DONE,
    "0\r\n\r\n", -1 },
  { "no usage", ANSWER_STREAM, HEAD("text/event-stream"), ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH DONE,
    "0\r\n\r\n", -1 },
  { "usage wrong", ANSWER_STREAM, HEAD("text/event-stream"),
    ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH USAGE_OF("4") DONE, "0\r\n\r\n", -1 },
  { "no [DONE]", ANSWER_STREAM, HEAD("text/event-stream"), ROLE TEXT("7.0 hhhh") TEXT("7.1 iiii") FINISH USAGE,
    "0\r\n\r\n", -1 },
  { "[DONE] twice", ANSWER_STREAM, HEAD("text/event-stream"), GOOD DONE, "0\r\n\r\n", -1 },
  { "CR in an event", ANSWER_STREAM, HEAD("text/event-stream"), ROLE "data: [DONE]\r\n\r\n", "0\r\n\r\n", -1 },
  { "error event", ANSWER_STREAM, HEAD("text/event-stream"), ROLE "data: {\"error\":{\"message\":\"x\"}}\n\n" DONE,
    "0\r\n\r\n", -1 },
  { "broken JSON", ANSWER_STREAM, HEAD("text/event-stream"), ROLE "data: {\"id\":\"chatcmpl-1\",}\n\n", "0\r\n\r\n",
    -1 },
  { "chat", ANSWER_CHAT, HEAD("application/json"), CHAT_OF("7.0 hhhh7.1 iiii", "stop"), "0\r\n\r\n", 1 },
  { "chat short", ANSWER_CHAT, HEAD("application/json"), CHAT_OF("7.0 hhhh7.1 iii", "stop"), "0\r\n\r\n", -1 },
  { "chat long", ANSWER_CHAT, HEAD("application/json"), CHAT_OF("7.0 hhhh7.1 iiii ", "stop"), "0\r\n\r\n", -1 },
  { "chat cut by length", ANSWER_CHAT, HEAD("application/json"), CHAT_OF("7.0 hhhh7.1 iiii", "length"), "0\r\n\r\n",
    -1 },
  { "chat then garbage", ANSWER_CHAT, HEAD("application/json"), CHAT_OF("7.0 hhhh7.1 iiii", "stop") "}", "0\r\n\r\n",
    -1 },
  { "status 503", ANSWER_CHAT, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", "", "", -1 },
  { "bare LF in the head", ANSWER_ANY, "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n{}", "", "", -1 },
  { "body longer than its length", ANSWER_ANY, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", "", "", -1 },
  { "any", ANSWER_ANY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "", "", 1 },
};

static int feed(struct answer *a, const struct row *r, size_t step)
{
  static const struct expect want = { .n = 2, .size = 8, .seed = 7, .model = "m" };
  char text[8192];
  size_t n = 0;
  int rc = 0;
  n = (size_t)snprintf(text, sizeof text, "%s", r->head);
  if(*r->body) n += (size_t)snprintf(text + n, sizeof text - n, "%zx\r\n%s\r\n", strlen(r->body), r->body);
  n += (size_t)snprintf(text + n, sizeof text - n, "%s", r->tail);
  answer_begin(a, r->kind, &want);
  for(size_t at = 0; at < n && rc >= 0; at += step) {
    if(rc > 0) return -1; /* whole before its last byte */
    rc = answer_feed(a, text + at, n - at < step ? n - at : step, 1000);
  }
  return rc;
}

int main(void)
{
  struct answer a = { 0 };
  int passed = 0, failed = 0;
  for(size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for(size_t step = 1; step <= 8192; step *= 8192) {
      int got = feed(&a, &rows[i], step);
      if(got == rows[i].want) {
        passed++;
      } else {
        failed++;
        printf("%s, in pieces of %zu: %d, expected %d (%s)\n", rows[i].name, step, got, rows[i].want,
               a.why ? a.why : "-");
      }
    }
  }
  answer_free(&a);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
