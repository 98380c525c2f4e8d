/* handlers.h - the functions of the route table. Threads: desk or job, see req.h. */
#ifndef Q2A_HTTP_HANDLERS_H
#define Q2A_HTTP_HANDLERS_H

#include "http/req.h"

void h_chat(struct req *q);
void h_messages(struct req *q);
void h_count_tokens(struct req *q);
void h_completions(struct req *q);
void h_responses(struct req *q);
void h_responses_tokens(struct req *q);
void h_responses_get(struct req *q);
void h_responses_delete(struct req *q);
void h_responses_cancel(struct req *q);
void h_responses_upgrade(struct req *q);
void h_subscription(struct req *q);
void h_billing_usage(struct req *q);
void h_usage(struct req *q);
void h_images_new(struct req *q);
void h_images_edit(struct req *q);
void h_videos_new(struct req *q);
void h_videos_list(struct req *q);
void h_videos_one(struct req *q);
void h_videos_delete(struct req *q);
void h_media(struct req *q);
void h_cli_chat(struct req *q);
void h_cli_models(struct req *q);
void h_cli_model(struct req *q);
void h_embeddings(struct req *q);
void h_models(struct req *q);
void h_model(struct req *q);
void h_health(struct req *q);
void h_ready(struct req *q);
void h_verify(struct req *q);
void h_accounts(struct req *q);
void h_accounts_add(struct req *q);
void h_accounts_update(struct req *q);
void h_accounts_proxy(struct req *q);
void h_accounts_delete(struct req *q);
void h_accounts_enable(struct req *q);
void h_accounts_clear(struct req *q);
void h_accounts_refresh(struct req *q);
void h_accounts_secret(struct req *q);
void h_accounts_test(struct req *q);
void h_explain(struct req *q);
void h_export(struct req *q);
void h_import(struct req *q);
void h_tasks(struct req *q);
void h_tasks_new(struct req *q);
void h_tasks_one(struct req *q);
void h_tasks_cancel(struct req *q);
void h_tasks_refresh(struct req *q);
void h_tasks_refresh_all(struct req *q);
void h_settings(struct req *q);
void h_settings_patch(struct req *q);
void h_settings_schema(struct req *q);
void h_settings_reset(struct req *q);
void h_settings_one(struct req *q);
void h_keys(struct req *q);
void h_keys_add(struct req *q);
void h_keys_patch(struct req *q);
void h_keys_delete(struct req *q);
void h_reload(struct req *q);
void h_restart(struct req *q);
void h_doctor(struct req *q);
void h_test_proxy(struct req *q);
void h_test_redis(struct req *q);
void h_models_refresh(struct req *q);
void h_logs(struct req *q);
void h_metrics(struct req *q);
void h_stats(struct req *q);
void h_stats_accounts(struct req *q);
void h_stats_requests(struct req *q);
void h_stats_overview(struct req *q);
void h_logs_stream(struct req *q);
void h_asset(struct req *q);
void h_not_offered(struct req *q);
void h_licenses(struct req *q);
const char *h_asset_notices(void); /* the licences of all parts */
void h_assets_print(struct strbuf *out); /* the packed pages, for `assets` */

#endif
