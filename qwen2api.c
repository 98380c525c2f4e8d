/* qwen2api.c - the whole program as one unit: the modules in layer order, then main().
 *
 * modules/http/server.c alone is compiled beside it, because it includes civetweb's source. */
#include "base/status.c"
#include "base/mem.c"
#include "base/str.c"
#include "base/arena.c"
#include "base/now.c"
#include "base/codec.c"
#include "base/crypt.c"
#include "base/log.c"

#include "proto/json.c"
#include "proto/url.c"
#include "proto/jwt.c"
#include "proto/http1.c"
#include "proto/sse.c"
#include "proto/inflate.c"
#include "proto/tokens.c"
#include "proto/limits.c"
#include "proto/trouble.c"
#include "proto/models.c"
#include "proto/chat_req.c"
#include "proto/toolset.c"
#include "proto/fold.c"
#include "proto/in.c"
#include "proto/openai_in.c"
#include "proto/search.c"
#include "proto/out.c"
#include "proto/openai_out.c"
#include "proto/qwen_req.c"
#include "proto/qwen_event.c"

#include "net/pump.c"
#include "net/jobs.c"
#include "net/tcp.c"
#include "net/roots.c"
#include "net/tls.c"
#include "net/resolve.c"
#include "net/net.c"
#include "net/proxy.c"
#include "net/conn.c"
#include "net/httpc.c"
#include "net/gate.c"

#include "domain/dotenv.c"
#include "domain/config.c"
#include "domain/store_mem.c"
#include "domain/store_lmdb.c"
#include "domain/seal.c"
#include "domain/keys.c"
#include "domain/account.c"
#include "domain/pool.c"
#include "domain/qwen.c"
#include "domain/login.c"
#include "domain/accounts.c"
#include "domain/tidy.c"
#include "domain/gauge.c"
#include "domain/chat.c"
#include "domain/keeper.c"
#include "domain/app.c"

#include "http/reply.c"
#include "http/auth.c"
#include "http/routes.c"
#include "http/h_models.c"
#include "http/h_health.c"
#include "http/h_asset.c"
#include "http/h_chat.c"

#include "main/listen.c"
#include "main/command.c"

#ifndef Q2A_NO_MAIN
int main(int argc, char **argv, char **envp)
{
  return command_main(argc, argv, envp);
}
#endif
