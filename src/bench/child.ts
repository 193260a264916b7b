// Measures one contender in this process. The argument says which one, as JSON.
import { type Contender, openContender } from './contender.js';
import { answerWith, measure, type Rule } from './measure.js';

const { rule, batch, ...contender } = JSON.parse(process.argv[2]!) as Contender & {
  rule: Rule;
  batch?: number;
};
await answerWith(measure(() => openContender(contender), rule, batch));
