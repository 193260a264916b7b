// Results as text: counts, what is wrong, what is refused why.
/** A refusal without what differs from name to name. */
export function reasonOf({ verdict, code, message, reason }) {
  if (verdict !== 'refused') return reason ?? '';
  return `${code} ${message.replace(/^\/?[\w.-]*: /, '')}`;
}

export function grouped(results, key) {
  const groups = new Map();
  for (const one of results) {
    const name = key(one);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return groups;
}

export function summary(results) {
  const lines = [];
  for (const [library, all] of grouped(results, ({ library, form }) => `${library}, ${form}`)) {
    const counts = [...grouped(all, ({ verdict }) => verdict)].map(([verdict, list]) => `${list.length} ${verdict}`);
    lines.push(`# ${library}: ${all.length}`, '', counts.join(', '), '');
    for (const verdict of ['WRONG', 'CRASH', 'library', 'refused', 'equal']) {
      const some = all.filter((one) => one.verdict === verdict);
      if (some.length === 0) continue;
      lines.push(`## ${verdict}`, '');
      const sorted = [...grouped(some, reasonOf)].sort((a, b) => b[1].length - a[1].length);
      for (const [reason, list] of sorted) lines.push(`- ${reason ? `${reason}\n  = ` : ''}${list.map(({ name }) => name).join(', ')}`);
      lines.push('');
    }
    const blind = all.filter((one) => one.blind?.length > 0);
    if (blind.length > 0) lines.push('## what comparing does not show', '', ...blind.map(({ name, blind }) => `- ${name}: ${blind.join(', ')}`), '');
  }
  return lines.join('\n');
}
