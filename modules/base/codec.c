#include "base/codec.h"

static const char codec_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char codec_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void codec_64(struct str in, const char *alphabet, bool pad, struct strbuf *out)
{
  const unsigned char *p = (const unsigned char *)in.p;
  for(size_t i = 0; i < in.n; i += 3) {
    size_t left = in.n - i;
    unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
    char quad[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63] };
    if(left >= 3) {
      strbuf_add(out, quad, 4);
      continue;
    }
    strbuf_add(out, quad, left + 1);
    if(pad) strbuf_add(out, "==", 3 - left);
  }
}

void codec_base64(struct str bytes, struct strbuf *out)
{
  codec_64(bytes, codec_std, true, out);
}

void codec_base64url(struct str bytes, struct strbuf *out)
{
  codec_64(bytes, codec_url, false, out);
}

static int codec_digit64(char c)
{
  if(c >= 'A' && c <= 'Z') return c - 'A';
  if(c >= 'a' && c <= 'z') return c - 'a' + 26;
  if(c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool codec_unbase64(struct str text, struct strbuf *out)
{
  unsigned v = 0;
  int have = 0, pads = 0;
  for(size_t i = 0; i < text.n; i++) {
    char c = text.p[i];
    if(c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    if(c == '=') {
      pads++;
      continue;
    }
    int d = codec_digit64(c);
    if(d < 0 || pads) return false;
    v = v << 6 | (unsigned)d;
    if(++have == 4) {
      strbuf_add(out, (char[3]){ (char)(v >> 16), (char)(v >> 8), (char)v }, 3);
      v = 0;
      have = 0;
    }
  }
  if(have == 1 || pads > 2 || (pads && have + pads != 4)) return false;
  if(have == 2) strbuf_addc(out, (char)(v >> 4));
  if(have == 3) strbuf_add(out, (char[2]){ (char)(v >> 10), (char)(v >> 2) }, 2);
  return true;
}

void codec_hex(struct str bytes, char *out)
{
  static const char digits[] = "0123456789abcdef";
  for(size_t i = 0; i < bytes.n; i++) {
    *out++ = digits[(unsigned char)bytes.p[i] >> 4];
    *out++ = digits[bytes.p[i] & 15];
  }
  *out = 0;
}

static int codec_digit16(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool codec_unhex(struct str text, unsigned char *out)
{
  if(text.n % 2) return false;
  for(size_t i = 0; i < text.n; i += 2) {
    int hi = codec_digit16(text.p[i]), lo = codec_digit16(text.p[i + 1]);
    if(hi < 0 || lo < 0) return false;
    *out++ = (unsigned char)(hi << 4 | lo);
  }
  return true;
}

void codec_percent(struct str s, const char *plain, struct strbuf *out)
{
  static const char digits[] = "0123456789ABCDEF";
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(plain, c));
    if(keep) strbuf_addc(out, c);
    else strbuf_add(out, (char[3]){ '%', digits[(unsigned char)c >> 4], digits[c & 15] }, 3);
  }
}

bool codec_unpercent(struct str s, bool plus_is_space, struct strbuf *out)
{
  for(size_t i = 0; i < s.n; i++) {
    if(s.p[i] != '%') {
      strbuf_addc(out, plus_is_space && s.p[i] == '+' ? ' ' : s.p[i]);
      continue;
    }
    int hi = i + 2 < s.n ? codec_digit16(s.p[i + 1]) : -1, lo = i + 2 < s.n ? codec_digit16(s.p[i + 2]) : -1;
    if(hi < 0 || lo < 0) return false;
    strbuf_addc(out, (char)(hi << 4 | lo));
    i += 2;
  }
  return true;
}

bool codec_is_utf8(struct str s)
{
  if(s.n == 0) return true;
  const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
  while(p < end) {
    int n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p <= 0xf4 ? 4 : 0;
    if(n == 0 || end - p < n) return false;
    for(int i = 1; i < n; i++)
      if((p[i] & 0xc0) != 0x80) return false;
    if((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f)) return false;
    if((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f)) return false;
    p += n;
  }
  return true;
}
