// node classify.mjs PHOTO...
import { FqvitError, load } from 'fqvit';

const model = await load('deit_cifar10');
const rows = [];
for (const photo of process.argv.slice(2)) {
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
