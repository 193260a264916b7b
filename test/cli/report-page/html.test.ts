import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Html, html } from '../../../src/cli/report-page/html.js';
import { elementsOf } from './well-formed.js';

test('values of a template are escaped, except for HTML', () => {
  const label = `<img src=x onerror="alert('1')"> & more`;
  expect(html`<p title="${label}">${label}${html`<b>${1}</b>`}${[html`<i>`, html`</i>`]}</p>`.text).toBe(
    '<p title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; more">' +
      '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; more<b>1</b><i></i></p>',
  );
  expect(html`${new Html('<br>')}`.text).toBe('<br>');
});

test('control characters and changes of the text direction become visible', () => {
  expect(html`${'a\u0000b\u202ec\n'}`.text).toBe('a\\x00b\\x202ec\\x0a');
});

test('no text makes an element or an attribute', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (a, b) => {
      const { text } = html`<p title="${a}">${b}</p>`;
      expect(elementsOf(text).map(({ name, attributes }) => [name, [...attributes.keys()]])).toEqual([
        ['p', ['title']],
      ]);
    }),
  );
});
