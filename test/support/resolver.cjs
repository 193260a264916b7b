// What differs by platform: sources take Node's, as sources; whatever is built takes what package.json says.
const { join, sep } = require('node:path');

const src = join(__dirname, '../../src');

module.exports = (path, options) =>
  path.startsWith('#') && `${options.basedir}${sep}`.startsWith(`${src}${sep}`)
    ? `${join(src, path.slice(1))}-node.ts`
    : options.defaultResolver(path, options);
