// node classify.mjs PHOTO...
import { FqvitError, load } from 'fqvit';

const photos = process.argv.slice(2);
if (photos.length === 0) {
  console.error('node classify.mjs PHOTO...');
  process.exit(2);
}
const model = await load('deit_cifar10');
const rows = [];
for (const photo of photos) {
  try {
    const [first, second] = await model.classify(photo, { top: 2 });
    rows.push({ photo, 'likeliest class': shown(first), 'and the next': shown(second) });
  } catch (error) {
    if (!(error instanceof FqvitError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
model.dispose();
console.table(rows);

function shown({ label, probability }) {
  return `${label} ${(100 * probability).toFixed(1)} %`;
}
