/* The fuzzers' own checks on seeds and on every small change of them: cut, byte gone, byte doubled, byte changed. */
#define LLVMFuzzerTestOneInput fuzz_json
#include "../fuzz/fuzz_json.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_sse
#include "../fuzz/fuzz_sse.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_http1
#include "../fuzz/fuzz_http1.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_url
#include "../fuzz/fuzz_url.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_qwen_event
#include "../fuzz/fuzz_qwen_event.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_openai_in
#include "../fuzz/fuzz_openai_in.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_anthropic_in
#include "../fuzz/fuzz_anthropic_in.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_responses_in
#include "../fuzz/fuzz_responses_in.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_limits
#include "../fuzz/fuzz_limits.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_inflate
#include "../fuzz/fuzz_inflate.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_multipart
#include "../fuzz/fuzz_multipart.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_json_fix
#include "../fuzz/fuzz_json_fix.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_schema
#include "../fuzz/fuzz_schema.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_toolcall
#include "../fuzz/fuzz_toolcall.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_relay_req
#include "../fuzz/fuzz_relay_req.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_relay_out
#include "../fuzz/fuzz_relay_out.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_openai_req
#include "../fuzz/fuzz_openai_req.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_openai_event
#include "../fuzz/fuzz_openai_event.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_retell
#include "../fuzz/fuzz_retell.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_import
#include "../fuzz/fuzz_import.c"
#undef LLVMFuzzerTestOneInput

#include "base/mem.h"
#include "t.h"

typedef int (*target)(const uint8_t *p, size_t n);

static void at_its_end(target fn, const uint8_t *p, size_t n)
{
  uint8_t *exact = malloc(n ? n : 1); /* one byte read too far is seen by the sanitizer */
  memcpy(exact, p, n);
  CHECK_INT(fn(exact, n), 0);
  free(exact);
}

static void around(target fn, struct str seed)
{
  static const uint8_t odd[] = { 0, '\n', '\r', '"', '\\', '%', '/', 0x7f, 0x80, 0xed, 0xf0, 0xff };
  uint8_t *p = malloc(seed.n + 2);
  long before = mem_live();
  for(size_t i = 0; i <= seed.n; i++) {
    at_its_end(fn, (const uint8_t *)seed.p, i); /* cut */
    if(i == seed.n) break;
    memcpy(p, seed.p, i);
    memcpy(p + i, seed.p + i + 1, seed.n - i - 1);
    at_its_end(fn, p, seed.n - 1); /* gone */
    p[i] = (uint8_t)seed.p[i];
    memcpy(p + i + 1, seed.p + i, seed.n - i);
    at_its_end(fn, p, seed.n + 1); /* doubled */
    memcpy(p, seed.p, seed.n);
    for(size_t k = 0; k < sizeof odd; k++) {
      p[i] = odd[k];
      at_its_end(fn, p, seed.n); /* changed */
    }
  }
  CHECK_INT(mem_live(), before);
  free(p);
}

static const struct { const char *name; target fn; struct str seed; } seeds[] = {
#define SEED(fn, text) { #fn, fn, { text, sizeof text - 1 } }
  SEED(fuzz_json, "\xef\xbb\xbf{\"a\":[1,-2.5e+3,true,null,{\"b\":\"\\ud83d\\ude00\\u0000\\n\"}],\"\xe4\xb8\x96\":\"\xf0\x9f\x98\x80\"}"),
  SEED(fuzz_sse, "\x09: hi\r\ndata: one\r\ndata:two\r\n\r\nevent: x\rdata: 0123456789012345678901234567890123456789012345678901234567890123456789\n\ndata: ok"),
  SEED(fuzz_sse, "\x24\r$\r" "77777777777777777777777777777777777777777777777777777777777777777777777777777777777777777\n\r:\r"), /* a long line that is no data */
  SEED(fuzz_http1, "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nConnection: close, x\r\nA:\t b \r\n\r\nbody"),
  SEED(fuzz_http1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"),
  SEED(fuzz_http1, "5;a=b\r\nhello\r\n0A\r\n0123456789\r\n0\r\nT: v\r\n\r\nNEXT"),
  SEED(fuzz_url, "https://us%40er:p@[2001:db8::1]:8443/a/b?c=d#e"),
  SEED(fuzz_url, "/openai/v1//v1/%6dodels/?a=b%20c"),
  SEED(fuzz_url, "e30.eyJleHAiOjQxMDI0NDQ4MDAsInR5cGUiOiJhY2Nlc3NfdG9rZW4ifQ.sig"),
  SEED(fuzz_url, "{\"data\":{\"data\":[{\"id\":\"q\",\"info\":{\"created_at\":1,\"meta\":{\"abilities\":{\"thinking\":1},\"chat_type\":[\"search\"]}}}]}}"),
  SEED(fuzz_qwen_event, "{\"response.created\":{\"response_id\":\"r\"}}\n{\"choices\":[{\"delta\":{\"content\":\"x\\ud83d\",\"phase\":\"answer\"}}]}\n{\"choices\":[{\"delta\":{\"content\":\"\\ude00y\","
                        "\"phase\":\"answer\",\"status\":\"finished\"}}],\"usage\":{\"input_tokens\":3}}\n[DONE]"),
  SEED(fuzz_qwen_event, "2{\"choices\":[]}\n{\"choices\":[{\"delta\":{\"phase\":\"thinking_summary\",\"extra\":{\"summary_thought\":{\"content\":[\"a\\udc00\",\"b\"]}}}}]}\n{\"choices\":[{\"delta\":"
                        "{\"role\":\"function\",\"extra\":{\"tool_result\":{\"docs\":[{\"url\":\"u\",\"title\":\"t\"}]}}}}]}"),
  SEED(fuzz_qwen_event, "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":[\"a<b>\",{\"c\":\"d\"}],\"num\":4}}"),
  SEED(fuzz_qwen_event, "{\"data\":{\"choices\":[{\"message\":{\"content\":[\"a\\ud800\",{\"text\":\"b\"}],\"reasoning_content\":\"\\ud83d\\ude00\"}}]}}"),
  SEED(fuzz_anthropic_in, "{\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{}}],\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\"},{\"type\":\"tool_use\",\"id\":\"t\","
                         "\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
                         "\"https://h\"}}]},{\"type\":\"text\",\"text\":\"x\"}]}],\"tools\":[{\"type\":\"memory_1\",\"defer\":1}],\"tool_choice\":{\"type\":\"any\"}}"),
  SEED(fuzz_anthropic_in, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"search_result\",\"title\":\"t\"}]}}]}],"
                         "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\",\"format\":{\"type\":\"json_schema\",\"schema\":{}}},\"a b\":1,\"speed\":1}"),
  SEED(fuzz_openai_in, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":\"<think>x</think>y\"},{\"role\":\"user\",\"name\":\"n\",\"content\":"
                       "[{\"type\":\"text\",\"text\":\"User: a\\nb\"},\"c\"]}],\"stop\":[\"a\"],\"max_tokens\":5,\"thinking\":{\"type\":\"enabled\"}}"),
  SEED(fuzz_responses_in, "{\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"}]},{\"id\":\"msg_1\"},{\"type\":\"custom_tool_call\","
                          "\"call_id\":\"c\",\"name\":\"f\",\"input\":\"x\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[\"y\"]}],\"tools\":[{\"type\":\"namespace\",\"name\":\"g\","
                          "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"text\":{\"format\":{\"type\":\"text\"}}}"),
  SEED(fuzz_responses_in, "{\"prompt\":[\"a\"],\"n\":2,\"echo\":false,\"stop\":\"x\",\"input\":\"b\",\"include\":[\"c\"],\"reasoning\":{\"effort\":\"low\"},\"temperature\":1}"),
  SEED(fuzz_limits, "\x12" "ababab" "xxabxababyabab\xe4\xb8\x96\xe4\xb8\x96"),
  SEED(fuzz_limits, "\x01" "END##\n" "the E EN E# text ## ENd #\n END"),
  SEED(fuzz_inflate, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00" "rest"),
  SEED(fuzz_inflate, "\x78\x9c\x4b\x04\x00\x00\x62\x00\x62"),
  SEED(fuzz_multipart, "XX\n--XX\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\nContent-Type: x\r\n\r\nv\r\n--X\r\n--XX\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--XX--\r\n"),
  SEED(fuzz_qwen_event, "{\"choices\":[{\"delta\":{\"phase\":\"tool_call\",\"function_id\":\"f\",\"function_call\":{\"name\":\"n\",\"arguments\":\"{\\\"a\\\":1}\"}}}]}\n{\"choices\":[{\"delta\":"
                        "{\"role\":\"function\",\"phase\":\"image_gen_tool\",\"extra\":{\"image_list\":[{\"image\":\"https://h/p\"},{\"file_path\":\"f\"}]},\"status\":\"finished\"}}]}"),
  SEED(fuzz_import, "{\"accounts\":[{\"email\":\"a@b.c\",\"x\":[1,{\"y\":\"}]\\\"\"}]},3 ],\"b\":{}}\n"), SEED(fuzz_import, " [[],{},\"\",-1.5e3 , true]"),
  SEED(fuzz_json_fix, "x ```json\n{'a': True, b_c: [1,2,], \"d\"\xef\xbc\x9a\xe2\x80\x9c" "e\xe2\x80\x9d, \"f\":\"g \"h\" \\d\n\", }"),
  SEED(fuzz_json_fix, "{\"a\":[1,{\"b\":\"c\",\"d\":[null"),
  SEED(fuzz_schema, "{\"$defs\":{\"s\":{\"type\":\"string\"}},\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/s\"},\"l_m\":{\"items\":{\"type\":\"integer\"},\"type\":\"array\"},\"o\":{\"$ref\":\"#\"}},"
                    "\"required\":[\"a\"],\"additionalProperties\":false}\n{\"A\":1,\"lM\":\"[\\\"2\\\"]\",\"o\":{\"a\":{}},\"x\":1}"),
  SEED(fuzz_schema, "{\"anyOf\":[{\"enum\":[1,\"a\"]},{\"type\":[\"boolean\",\"null\"],\"default\":2,\"description\":\"d\"},{\"prefixItems\":[{\"minLength\":2}],\"maxItems\":1}],\"oneOf\":[{\"const\":{}}]}\n[\"x\",\"true\"]"),
  SEED(fuzz_toolcall, "\x07Hi <q2a_ca</q2a_call> `a` \n<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"</q2a_call>\"}}</q2a_call></tool_call>\n"),
  SEED(fuzz_toolcall, "\x02<tool_call>\n<function=f><parameter=n>\n12\n</parameter><parameter=a>x</function></tool_call> b"),
  SEED(fuzz_toolcall, "\x01```json\n{\"name\":\"get_w\",\"args\":\"{'n':'1'}\"}\n```x <tool_use name=\"raw\">{\"input\":\"a \"b\" c\"}</tool_use>"),
  SEED(fuzz_toolcall, "\x08Tool f does not exist.<function_calls>\n<invoke name='f'><parameter name='a'>1</parameter></invoke></function_calls>"),
  SEED(fuzz_relay_req, "{\"model\":\"m\",\"n\":1,\"user\":\"u\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},\"b\"]},{\"role\":\"user\",\"content\":\"c\"}],"
                       "\"tools\":[],\"max_tokens\":\"5\",\"top_p\":\"0.5\",\"thinking\":{\"type\":\"enabled\"},\"input\":[1],\"encoding_format\":\"base64\"}"),
  SEED(fuzz_relay_out, "data: {\"id\":\"i\",\"x\":1,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"t\",\"tool_calls\":[{\"id\":\"c\",\"function\":"
                       "{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\r\n\r\ndata: {\"error\":{\"code\":\"x\"}}\n\ndata: [DONE]\n\n"),
  SEED(fuzz_relay_out, "{\"data\":[{\"embedding\":[1,-0.5e3],\"index\":0}],\"error\":{\"message\":\"m<b>\",\"type\":\"Throttling\",\"code\":7}}"),
  SEED(fuzz_openai_req, "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\","
                        "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"R0lGODlhAQABAAAAACw=\"}}]}]}],\"stop\":[\"a\"]}"),
  SEED(fuzz_openai_req, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"custom\":{\"name\":\"f\",\"input\":\"x\"}}]},{\"role\":\"tool\",\"content\":\"r\"},{\"role\":\"user\",\"content\":[{\"type\":"
                        "\"input_audio\",\"input_audio\":{\"data\":\"SUQzAAAAAAAAAA==\",\"format\":\"mp3\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain,ab\"}}]}],\"prompt\":\"p\",\"n\":2}"),
  SEED(fuzz_openai_event, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"reasoning\":\"t\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{}}},{\"index\":1}]},"
                          "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\r\n\r\ndata: {\"error\":{\"code\":\"x\"}}\n\ndata: [DONE]"),
  SEED(fuzz_openai_event, "{\"choices\":[{\"message\":{\"content\":[{\"text\":\"a\"}]},\"finish_reason\":\"length\"}]}"),
  SEED(fuzz_retell, "\x1e" "data: {\"choices\":[{\"delta\":{\"content\":\"x E\",\"reasoning\":\"t\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"N\",\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"name\":\"g\","
                    "\"arguments\":\"{\\\"input\\\":\\\"y\\\"}\"}}]},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
  SEED(fuzz_retell, "\x31" "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{'a':1,}\"}}]},\"finish_reason\":\"length\"},"
                    "{\"delta\":{\"content\":\"y\"}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"error\":{\"code\":\"content_filter\"}}"),
#undef SEED
};

static void t_seeds(void)
{
  for(size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
    t_row = seeds[i].name;
    around(seeds[i].fn, seeds[i].seed);
  }
}

T_MAIN(T(t_seeds))
