#include "http/handlers.h"

/* Several chat front ends ask for the bill when they start: nothing costs anything here, and nothing runs out. */

void h_subscription(struct req *q)
{
  req_answer(q, 200, S("application/json"), STR_NONE,
             S("{\"object\":\"billing_subscription\",\"has_payment_method\":true,\"soft_limit_usd\":100000000,\"hard_limit_usd\":100000000,"
               "\"system_hard_limit_usd\":100000000,\"access_until\":4102444800}")); /* until 2100 */
}

void h_billing_usage(struct req *q)
{
  req_answer(q, 200, S("application/json"), STR_NONE, S("{\"object\":\"list\",\"daily_costs\":[],\"total_usage\":0}"));
}

void h_usage(struct req *q)
{
  req_answer(q, 200, S("application/json"), STR_NONE,
             S("{\"object\":\"list\",\"data\":[],\"ft_data\":[],\"dalle_api_data\":[],\"whisper_api_data\":[],\"tts_api_data\":[],"
               "\"assistant_code_interpreter_data\":[],\"retrieval_storage_data\":[],\"current_usage_usd\":0}"));
}
