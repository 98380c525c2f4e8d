// The start page: shows this gateway's own address in its examples and copies them.
const base = `${location.origin}/v1`;
const model = 'qwen3.7-plus';
const texts = {
  base,
  models: `curl ${base}/models -H "Authorization: Bearer YOUR_KEY"`,
  chat: `curl -N ${base}/chat/completions \\
  -H "Authorization: Bearer YOUR_KEY" -H "Content-Type: application/json" \\
  -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`,
};
for (const [id, text] of Object.entries(texts)) document.getElementById(id).textContent = text;

// The clipboard interface is missing on plain http; a selected text field works everywhere.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    await copy(document.getElementById(button.dataset.copy).textContent);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
}
fetch('/readyz').then((r) => r.json()).then((s) => {
  document.getElementById('state').textContent = s.status === 'ready' ? 'It is ready.'
    : `It is not ready: ${(s.reasons || []).join(', ').replaceAll('_', ' ')}.`;
});
