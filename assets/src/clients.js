// Ready settings for common clients: what to type or to put into which file.
const body = (model) => `{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}`

export const clients = (origin, key, model, coder) => {
  const base = `${origin}/v1`
  return {
    curl: `curl ${base}/chat/completions \\\n  -H "Authorization: Bearer ${key}" \\\n  -H "Content-Type: application/json" \\\n  -d '${body(model)}'`,
    'OpenAI: environment': `export OPENAI_BASE_URL=${base}\nexport OPENAI_API_KEY=${key}`,
    'OpenAI: Python': `from openai import OpenAI\nclient = OpenAI(base_url="${base}", api_key="${key}")\nprint(client.chat.completions.create(model="${model}", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)`,
    'OpenAI: JavaScript': `import OpenAI from 'openai'\nconst client = new OpenAI({ baseURL: '${base}', apiKey: '${key}' })\nconst answer = await client.chat.completions.create({ model: '${model}', messages: [{ role: 'user', content: 'Hello' }] })\nconsole.log(answer.choices[0].message.content)`,
    'Claude Code': `export ANTHROPIC_BASE_URL=${origin}\nexport ANTHROPIC_AUTH_TOKEN=${key}\nexport ANTHROPIC_MODEL=${coder}\nexport ANTHROPIC_SMALL_FAST_MODEL=${model}\nclaude`,
    Codex: `# ~/.codex/config.toml; the key: export QWEN2API_KEY=${key}\nmodel = "${coder}"\nmodel_provider = "qwen2api"\n[model_providers.qwen2api]\nname = "qwen2api"\nbase_url = "${base}"\nenv_key = "QWEN2API_KEY"\nwire_api = "responses"`,
    'Qwen Code': `export OPENAI_BASE_URL=${origin}/cli/v1\nexport OPENAI_API_KEY=${key}\nexport OPENAI_MODEL=${coder}\nqwen`,
    'Open WebUI': `OPENAI_API_BASE_URL=${base}\nOPENAI_API_KEY=${key}`,
    LobeChat: `OPENAI_PROXY_URL=${base}\nOPENAI_API_KEY=${key}\nOPENAI_MODEL_LIST=-all,+${model}`,
    NextChat: `BASE_URL=${origin}\nOPENAI_API_KEY=${key}\nCUSTOM_MODELS=-all,+${model}`,
    'Cherry Studio, Cline': `OpenAI Compatible\nBase URL: ${base}\nAPI Key: ${key}\nModel: ${model}`,
    Continue: `# ~/.continue/config.yaml\nmodels:\n  - name: ${coder}\n    provider: openai\n    model: ${coder}\n    apiBase: ${base}\n    apiKey: ${key}\n    roles: [chat, edit, apply]`,
  }
}
