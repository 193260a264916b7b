/** A page to try the service: a form, and the answer of `/v1/classify`. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fqvit</title>
<link rel="stylesheet" href="try.css">
<script src="try.js" defer></script>
<main>
  <h1>What is in a photo</h1>
  <form>
    <label>Photos <input name="image" type="file" accept="image/jpeg,image/png,image/webp" multiple required></label>
    <label>Token, where the service has one <input name="token" type="password" autocomplete="off"></label>
    <button>Classify</button>
  </form>
  <output aria-live="polite"></output>
  <p>As a program: <code>curl --data-binary @photo.jpg <span id="origin"></span>/v1/classify</code>;
  all of it is in <a href="openapi.json">openapi.json</a>.</p>
</main>
</html>
`;

export const STYLE = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; padding: 1rem; }
main { max-width: 40rem; margin: auto; }
form { display: grid; gap: 1rem; }
label { display: grid; gap: .25rem; }
input, button { font: inherit; padding: .5rem; min-width: 0; }
button { justify-self: start; padding: .5rem 1.5rem; }
output { display: grid; gap: 1.5rem; margin: 1.5rem 0; }
figure { margin: 0; display: grid; grid-template-columns: 8rem 1fr; gap: 1rem; }
figure > :last-child { grid-column: 2; }
img { max-width: 100%; max-height: 8rem; }
table { border-collapse: collapse; width: 100%; align-self: start; }
th, td { text-align: left; padding: .125rem .5rem .125rem 0; font-weight: normal; overflow-wrap: anywhere; }
td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
@media (max-width: 30rem) { figure { grid-template-columns: 1fr; } figure > :last-child { grid-column: 1; } }
`;

export const SCRIPT = `
document.querySelector('#origin').textContent = location.origin;
const form = document.querySelector('form');
const output = document.querySelector('output');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    output.replaceChildren(...(await classify([...form.image.files], form.token.value)));
  } catch (error) {
    output.replaceChildren(element('p', error.message));
  }
  button.disabled = false;
});

async function classify(files, token) {
  const body = new FormData();
  for (const file of files) body.append('image', file);
  const headers = token ? { authorization: 'Bearer ' + token } : {};
  const answer = await fetch('v1/classify', { method: 'POST', body, headers });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document.results.map((result, i) => figure(files[i], result));
}

function figure(file, { predictions, error }) {
  const image = element('img');
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  image.addEventListener('error', () => image.remove());
  const rows = (predictions ?? []).map(({ label, probability, value }) => {
    const head = element('th', label);
    head.scope = 'row';
    return element('tr', head, element('td', shown(probability, value)));
  });
  return element('figure', image, error ? element('p', error.message) : element('table', ...rows));
}

function shown(probability, value) {
  return value === undefined ? (100 * probability).toFixed(1) + ' %' : Number(value.toPrecision(6));
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
`;
