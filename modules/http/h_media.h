/* h_media.h - answers a request with a result of the upstream, streamed through the gateway. Threads: desk or job, as req.h. */
#ifndef Q2A_HTTP_H_MEDIA_H
#define Q2A_HTTP_H_MEDIA_H

#include "http/req.h"

/* url was checked by result_url_check(); proxy may be empty. */
void h_media_send(struct req *q, struct str url, struct str proxy);

#endif
