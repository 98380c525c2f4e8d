/* build.h - what this program is made of, and when: its date in seconds since 1970.
 *
 * Threads: pure. The date is a fixed one of the version, so that two builds of one source are byte for byte the same wherever and
 * whenever they are made; a packager's SOURCE_DATE_EPOCH takes its place. No clock that is right shows less. */
#ifndef Q2A_BASE_BUILD_H
#define Q2A_BASE_BUILD_H

#ifndef Q2A_BUILD_EPOCH
#define Q2A_BUILD_EPOCH 1795824000 /* 2026-11-28 */
#endif

enum { BUILD_TEXT = 120 };
void build_text(char out[BUILD_TEXT]); /* "build 2026-11-28, x86_64, musl, static; TLS: BearSSL 0.6, TLS 1.2" */

#endif
