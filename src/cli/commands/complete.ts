import { UsageError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { describeCommand } from '../command.js';
import { COMPLETIONS, SHELLS } from '../completions.js';
import { print } from '../report.js';
export default describeCommand({
  name: 'complete',
  summary: 'print a script that completes fqvit commands in your shell',
  usage: 'SHELL',
  args: {
    shell: { type: 'positional', required: true, description: `One of ${SHELLS.join(', ')}` },
  },
  examples: [
    `echo 'source <(fqvit complete bash)' >> ~/.bashrc`,
    `echo 'source <(fqvit complete zsh)' >> ~/.zshrc`,
    'fqvit complete fish > ~/.config/fish/completions/fqvit.fish',
  ],
  async run({ shell }) {
    if (!SHELLS.includes(shell)) {
      const message = `SHELL: expected one of ${SHELLS.join(', ')}, found ${quote(shell)}`;
      throw new UsageError('ARGUMENT', message);
    }
    print(COMPLETIONS[shell]!.trimEnd());
  },
});
